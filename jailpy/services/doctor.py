"""doctor: what this host can enforce, the one cause of each gap, its smallest fix. Parent side.

Nothing is believed that can be tried: the kernel's part is tried in throw-away children (jailpy/host/probe.py), and the
profile is really launched with a trivial command. A launch that works is the proof for each layer that it read back;
where it fails, the trials tell which layers are to blame.
"""

from __future__ import annotations

import errno
import os
import sys
import sysconfig

from jailpy import __version__, api
from jailpy.errors import CommandError, HostError, JailPyError, LaunchError
from jailpy.frozen import Frozen
from jailpy.host import delegation, facts, probe, remedies, surroundings
from jailpy.host.fixes import Fix, Remedy, advice, by_user, quoted, run, shown
from jailpy.kernel import files
from jailpy.plan import tiers
from jailpy.profile.model import LAYERS
from jailpy.profile.overrides import Override

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import HostFacts
    from jailpy.layers import Planned
    from jailpy.plan.compile import Plan

_REFUSED = (errno.EPERM, errno.EACCES)
_NAMESPACES = {"mount": "mnt", "pid": "pid", "net": "net", "ipc": "ipc", "uts": "uts", "cgroup-ns": "cgroup"}
_TRIALS = ("private", "tmpfs", "hostname", "no-nesting", "proc", "landlock", "seccomp", "notification", *_NAMESPACES)
_TRIED = {"no-new-privs": "no-new-privs", "capabilities": "capabilities", "rlimits": "rlimits"}


class Finding(Frozen):
    """One layer: `state` as in a report; `what` is the mechanism, or the one cause of the gap; `seen` what the kernel said."""

    layer: str
    required: bool
    state: str
    what: str
    fix: tuple[Fix, ...] = ()
    seen: str = ""

    def report(self) -> dict[str, object]:
        """Return the JSON object."""
        held = self.state in ("enforced", "off")
        return {
            "name": self.layer,
            "required": self.required,
            "state": self.state,
            "mechanism": self.what if held else None,
            "verified": self.seen or None,
            "cause": None if held else self.what,
            "fix": shown(self.fix),
        }


class Diagnosis(Frozen):
    """What doctor has to say. `starts`: the profile starts here, with every layer that it requires.

    `failure` is why it does not where no layer is to blame.
    """

    profile: str
    digest: str
    host: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    starts: bool
    conclusion: str
    failure: Remedy | None = None

    def gaps(self) -> list[tuple[str, str, tuple[Fix, ...]]]:
        """Return where, why and the fix of everything that has one, and of what keeps the profile from starting."""
        layers = [(found.layer, found.what, found.fix) for found in self.findings if found.fix]
        return [*layers, ("launch", self.failure.cause, self.failure.fix)] if self.failure else layers

    def report(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "schema": 1,
            "jailpy": __version__,
            "profile": {"name": self.profile, "digest": self.digest},
            "host": dict(self.host),
            "layers": [finding.report() for finding in self.findings],
            "failure": {"cause": self.failure.cause, "fix": shown(self.failure.fix)} if self.failure else None,
            "starts": self.starts,
            "conclusion": self.conclusion,
        }


class Examined(Frozen):
    """What was tried. `verified` is what the launch saw of each layer; `error` is why there was none."""

    host: HostFacts
    plan: Plan
    trials: dict[str, int]
    verified: dict[str, str]
    error: JailPyError | None
    library: Remedy | None


def diagnose(profile: str = "strict") -> Diagnosis:
    """Examine this host for a profile. Raises ProfileError, UsageError."""
    examined = examine(profile)
    findings = tuple(_finding(planned, examined) for planned in examined.plan.layers)
    accepted = [planned.name for planned in examined.plan.layers if _accepted(planned, examined)]
    lacking = [found.layer for found in findings if found.required and found.state != "enforced"]
    missing = [layer for layer in lacking if layer not in accepted]
    starts = not missing and examined.error is None
    failure = _advised(examined.error) if examined.error and not missing else None
    found = examined.plan.profile
    conclusion = _conclusion(found.name, findings, missing, failure, examined.plan.tiers)
    return Diagnosis(found.name, found.digest, _host(examined), findings, starts, conclusion, failure)


def examine(profile: str) -> Examined:
    """Make the trials and the launch. Raises ProfileError, UsageError, HostError where there are no children to try in."""
    try:
        trials = dict.fromkeys(_TRIALS, 0) | {trial.name: trial.errno for trial in probe.trials()}
    except OSError as refused:
        hints = ["this account's processes may be at their limit: ulimit -u, or pids.max of its cgroup"]
        raise HostError(f"doctor: no child can be made to try things in: {refused.strerror}", hints=hints) from refused
    host = facts.gather()
    plan, library = _plan(profile, host)
    verified, error = ({}, _killed()) if probe.KILLED in trials else _launch(plan)
    return Examined(host, plan, trials, verified, error, library)


def _plan(profile: str, host: HostFacts) -> tuple[Plan, Remedy | None]:
    """Plan a trivial command with every gap excused; without the filter where its library is missing.

    The user namespace is not excused: with all of them excused there would be a launch without namespaces.
    """
    excused = tuple(name for name in LAYERS if name != "user")
    request = api.Request(("true",), profile, excused=excused)
    try:
        return api.plan(request, host), None
    except HostError as error:
        if error.needs:
            raise
        without = (Override("require.layers", ["!seccomp"], "doctor"),)
        request = api.Request(("true",), profile, overrides=without, excused=excused)
        return api.plan(request, host), _missing_library(error)


def _killed() -> JailPyError:
    """Make the error of a launch that was not tried, because it would have ended this process, too."""
    return HostError("a system-call filter around this process kills what tries to make a jail")


def _missing_library(error: HostError) -> Remedy:
    try:
        import pyseccomp  # noqa: F401 - does it load?
    except ImportError:
        install = f"{quoted(sys.executable)} -m pip install pyseccomp"
        own = os.access(sysconfig.get_path("purelib"), os.W_OK)
        return Remedy("pyseccomp is missing: no filter can be made", (by_user(install) if own else run(install),))
    except RuntimeError:
        return remedies.libseccomp()
    return _advised(error)


def _advised(error: JailPyError) -> Remedy:
    return Remedy(error.message, tuple(advice(hint) for hint in error.hints))


def _launch(plan: Plan) -> tuple[dict[str, str], JailPyError | None]:
    """Launch the plan with nothing to read and nowhere to write. A command that is not in the jail has a jail around it."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        result = api.run(plan, (), (-1, nowhere, nowhere))
    except CommandError:
        return {layer.name: "" for layer in plan.layers if layer.state == "enforced"}, None
    except JailPyError as error:
        return {}, error
    finally:
        os.close(nowhere)
    if result.outcome.verdict == "cancelled":
        raise KeyboardInterrupt
    layers: list[dict[str, str]] = result.report["layers"]  # type: ignore[assignment]
    return {layer["name"]: layer["verified"] for layer in layers if layer["verified"]}, None


def _finding(planned: Planned, examined: Examined) -> Finding:
    name, library = planned.name, examined.library
    required = name in examined.plan.profile.require.layers or (name == "seccomp" and library is not None)
    if name == "seccomp" and library:
        why = _by_trial(name, examined.trials) or library
        return Finding(name, required, "absent", why.cause, why.fix)
    if planned.state == "off":
        return Finding(name, required, "off", planned.mechanism)
    if planned.state != "enforced":
        gap = Remedy(planned.mechanism) if _accepted(planned, examined) else _gap(planned, examined)
        return Finding(name, required, planned.state, gap.cause, gap.fix)
    if examined.error is None:
        return Finding(name, required, "enforced", planned.mechanism, seen=examined.verified.get(name, ""))
    broken = _broken(name, examined)
    if broken:
        return Finding(name, required, "absent", broken.cause, broken.fix)
    return Finding(name, required, "enforced", planned.mechanism, seen="tried by itself")


def _accepted(planned: Planned, examined: Examined) -> bool:
    """Say whether a layer stands on weaker tiers, each of which the profile accepts by name."""
    return bool(planned.tiers) and tiers.satisfies(planned, examined.plan.profile.require.tiers)


def _gap(planned: Planned, examined: Examined) -> Remedy:
    """Name the cause of a layer that the plan already knows to be missing."""
    if planned.name == "cgroup":
        mounts = files.mounts()
        return delegation.no_cgroup(examined.host.cgroups, mounts)
    if planned.name == "landlock" and planned.state == "degraded" and examined.library:
        return Remedy(f"needs the seccomp filter, which covers what ABI {examined.host.landlock_abi} lacks")
    if planned.name == "landlock" and planned.state == "absent":
        return remedies.landlock(examined.host.landlock_abi, examined.trials["landlock"])
    if planned.name not in examined.plan.profile.require.layers:
        return Remedy(planned.mechanism)  # preferred only: nothing needs mending
    return Remedy(planned.mechanism, tuple(advice(text) for text in dict.fromkeys(need.fix for need in planned.needs)))


def _broken(name: str, examined: Examined) -> Remedy | None:
    """Name the cause of a layer that the launch could not have; None where this layer is not to blame."""
    blamed = _by_trial(name, examined.trials)
    error = examined.error
    if blamed is None and isinstance(error, LaunchError) and error.layer == name and not _any_blamed(examined):
        return _advised(error)
    return blamed


def _any_blamed(examined: Examined) -> bool:
    return any(_by_trial(name, examined.trials) for name in LAYERS)


def _by_trial(name: str, trials: dict[str, int]) -> Remedy | None:
    """Name what a layer's own trial found."""
    if name == "user":
        return _user(trials)
    if name in _NAMESPACES:
        return Remedy("needs the user namespace") if _user(trials) else _namespace(name, trials)
    if name == "seccomp" and trials["notification"]:
        return remedies.notification(trials["notification"])
    if name == "landlock" and trials["landlock"]:
        return remedies.landlock(0, trials["landlock"])
    number = trials.get(_TRIED.get(name, ""), 0)
    return Remedy(f"the kernel refuses it: {os.strerror(number)}", (remedies.opened(),)) if number else None


def _user(trials: dict[str, int]) -> Remedy | None:
    if trials["user"]:
        return remedies.no_user_namespace(trials.get("unshare-user") or trials["user"])
    if trials["mount"] in _REFUSED or (trials["hostname"] in _REFUSED and not trials["uts"]):
        return remedies.no_rights()
    if trials["no-nesting"] and not _masked(trials):  # else a procfs of the jail's own is what is missing
        return Remedy(_words("no-nesting", trials), (remedies.opened(),))
    return None


def _namespace(name: str, trials: dict[str, int]) -> Remedy | None:
    if trials[name] == errno.ENOSPC:
        return remedies.too_many(f"user.max_{_NAMESPACES[name]}_namespaces")
    if trials[name]:
        return Remedy(_words(name, trials), (advice("use a kernel with all namespaces (CONFIG_NAMESPACES)"),))
    if name == "mount" and (trials["private"] in _REFUSED or trials["tmpfs"] in _REFUSED):
        return remedies.no_rights()
    if name == "mount" and trials["tmpfs"]:
        return remedies.old_kernel()
    return remedies.masked_proc() if name == "mount" and _masked(trials) else None


def _masked(trials: dict[str, int]) -> bool:
    """Say whether a procfs is refused; without a pid namespace that says nothing."""
    return trials["proc"] in _REFUSED and not trials["pid"]


def _words(name: str, trials: dict[str, int]) -> str:
    return f"the kernel refuses it: {os.strerror(trials[name])} ({name})"


def _host(examined: Examined) -> tuple[tuple[str, str], ...]:
    host = examined.host
    groups = [f"{base.path} (version {base.version}: {', '.join(base.controllers) or 'none'})" for base in host.cgroups.bases]
    return (
        ("distribution", surroundings.pretty_name()),
        ("kernel", os.uname().release),
        ("machine", host.machine),
        ("uid", str(host.euid)),
        ("inside", surroundings.around() or "no container"),
        ("landlock_abi", str(host.landlock_abi)),
        ("apparmor", "on" if host.apparmor else "off"),
        ("cgroups", "; ".join(groups) or "none"),
        ("python", f"{sys.version.split()[0]} ({sys.executable})"),
    )


def _conclusion(
    name: str, findings: tuple[Finding, ...], missing: list[str], failure: Remedy | None, weaker: tuple[str, ...]
) -> str:
    required = sum(found.required for found in findings)
    if not missing and failure is None:
        by = f", by the weaker tiers that it accepts ({', '.join(weaker)})" if weaker else ""
        return f"{name} starts here{by}: all {required} layers that it requires hold"
    because = failure.cause if failure else f"{', '.join(missing)} missing"
    return f"{name} does not start here (exec ends with 125): {because}"
