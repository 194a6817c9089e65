"""Steps of the namespaces, credentials, limits and the last moments before execve(2)."""

from __future__ import annotations

from jailpy.steps import Step, size_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class CloneNamespaces(Step):
    """clone3(2) with the jail's namespaces, into its cgroup where that is version 2."""

    layer: ClassVar[str] = "pid"
    side: ClassVar[str] = "launcher"
    phase: ClassVar[str] = "clone"
    names: tuple[str, ...]
    flags: int

    def describe(self) -> str:
        return f"start init in new {', '.join(self.names)} namespaces"


class MapIds(Step):
    """Write the one-uid map: inside ids, outside ids."""

    layer: ClassVar[str] = "user"
    side: ClassVar[str] = "launcher"
    phase: ClassVar[str] = "id-map"
    inside: tuple[int, int]
    outside: tuple[int, int]

    def describe(self) -> str:
        return f"map uid {self.inside[0]} of the jail to uid {self.outside[0]} of the host, and no other; deny setgroups"


class AwaitIds(Step):
    """Wait for the launcher to have written the maps."""

    layer: ClassVar[str] = "user"
    phase: ClassVar[str] = "identity"

    def describe(self) -> str:
        return "wait for the id maps"


class BecomeUser(Step):
    """Take the jail's one uid and gid."""

    layer: ClassVar[str] = "user"
    phase: ClassVar[str] = "identity"
    uid: int
    gid: int

    def describe(self) -> str:
        return f"become uid {self.uid}, gid {self.gid}"


class DieWithLauncher(Step):
    """prctl(PR_SET_PDEATHSIG, SIGKILL)."""

    layer: ClassVar[str] = "pid"
    phase: ClassVar[str] = "birth"

    def describe(self) -> str:
        return "die with the launcher"


class ForbidUserNamespaces(Step):
    """Set user.max_user_namespaces to 0 in the jail's user namespace, through the jail's procfs or the host's."""

    layer: ClassVar[str] = "user"
    phase: ClassVar[str] = "sysctl"
    path: str

    def describe(self) -> str:
        return "set user.max_user_namespaces to 0 inside"


class SetHostname(Step):
    """sethostname(2)."""

    layer: ClassVar[str] = "uts"
    phase: ClassVar[str] = "birth"
    name: str

    def describe(self) -> str:
        return f"name the machine {self.name!r} inside"


class LoopbackUp(Step):
    """Set IFF_UP on lo."""

    layer: ClassVar[str] = "net"
    phase: ClassVar[str] = "birth"

    def describe(self) -> str:
        return "bring the loopback interface up"


class NewCgroupNamespace(Step):
    """unshare(CLONE_NEWCGROUP), once inside the cgroup, which so becomes the root that the jail sees."""

    layer: ClassVar[str] = "cgroup-ns"
    phase: ClassVar[str] = "cgroup-namespace"

    def describe(self) -> str:
        return "enter a new cgroup namespace rooted at the run's own cgroup"


class HideInit(Step):
    """prctl(PR_SET_DUMPABLE, 0) and an emptied environment: the payload learns nothing from /proc/1."""

    layer: ClassVar[str] = "pid"
    side: ClassVar[str] = "init-after-fork"
    phase: ClassVar[str] = "init"

    def describe(self) -> str:
        return "make init unreadable and wipe its environment"


class FilterInit(Step):
    """Load init's own system-call filter: what it reads and executes from then on nobody needs to guard."""

    layer: ClassVar[str] = "seccomp"
    side: ClassVar[str] = "init-after-fork"
    phase: ClassVar[str] = "init"
    program: bytes
    calls: int

    def describe(self) -> str:
        return f"leave init {self.calls} system calls: to wait, to reap, to pass signals on, to report and to end"


class CloseOfInit(Step):
    """Close every descriptor of init but that of the status pipe. The channel goes too: from here on init tells no failure."""

    layer: ClassVar[str] = "pid"
    side: ClassVar[str] = "init-after-fork"
    phase: ClassVar[str] = "init-closed"

    def describe(self) -> str:
        return "close init's descriptors, all but the status pipe"


class DropCapabilities(Step):
    """Lock the securebits, then empty all five capability sets. `last` is the kernel's highest capability."""

    layer: ClassVar[str] = "capabilities"
    phase: ClassVar[str] = "capabilities"
    last: int

    def describe(self) -> str:
        return "lock the securebits and empty all five capability sets"


class NoNewPrivs(Step):
    """prctl(PR_SET_NO_NEW_PRIVS)."""

    layer: ClassVar[str] = "no-new-privs"
    phase: ClassVar[str] = "no-new-privs"

    def describe(self) -> str:
        return "set no_new_privs"


class OpenTerminal(Step):
    """Open a pseudo-terminal of the jail's own, make it init's controlling one, and hand its master to the launcher."""

    layer: ClassVar[str] = "payload"
    phase: ClassVar[str] = "terminal"

    def describe(self) -> str:
        return "open a pseudo-terminal of the jail's own"


class PayloadStep(Step):
    """Any step of the payload's process before execve."""

    layer: ClassVar[str] = "payload"
    side: ClassVar[str] = "payload"
    phase: ClassVar[str] = "stdio"


class StartSession(PayloadStep):
    """setsid(2); in init's session with a terminal, become its foreground process group instead."""

    phase: ClassVar[str] = "session"

    def describe(self) -> str:
        return "start a session or foreground process group of its own"


class SetStdio(PayloadStep):
    """Put JailPy's pipes on 0, 1 and 2, keep `keep` besides, and close every other descriptor but the set-up channel."""

    keep: tuple[int, ...] = ()

    def describe(self) -> str:
        kept = "".join(f", {number}" for number in self.keep)
        return f"connect 0, 1, 2{kept} and close every other descriptor"


class DefaultSignals(PayloadStep):
    """Give every signal its default action and unblock it."""

    def describe(self) -> str:
        return "give every signal its default action"


class ChangeFolder(PayloadStep):
    """chdir(2)."""

    path: str

    def describe(self) -> str:
        return f"change to the folder {self.path}"


class SetRlimit(PayloadStep):
    """setrlimit(2), soft and hard alike, unless `hard` is given."""

    layer: ClassVar[str] = "rlimits"
    phase: ClassVar[str] = "rlimits"
    name: str
    resource: int
    value: int
    hard: int

    def describe(self) -> str:
        return f"set {self.name} to {'unlimited' if self.value < 0 else size_words(self.value)}"


class LimitOpenFiles(SetRlimit):
    """The limit of open files. An account has no more descriptors on their way than their sender may have open (unix(7)).

    So it comes when the filter's listener is sent: another jail of the account, with as low a limit, could keep this one from
    starting by the descriptors that it leaves in its sockets.
    """

    phase: ClassVar[str] = "open-files"


class SetAffinity(PayloadStep):
    """sched_setaffinity(2): the fallback for `cpus` where there is no cpu controller."""

    layer: ClassVar[str] = "cgroup"
    phase: ClassVar[str] = "rlimits"
    count: int

    def describe(self) -> str:
        return f"keep to {self.count} of the host's processors"


class ApparmorOnExec(PayloadStep):
    """Ask for a profile to be stacked at execve, and read the request back: an unknown name would fail open."""

    layer: ClassVar[str] = "apparmor"
    phase: ClassVar[str] = "apparmor"
    profile: str

    def describe(self) -> str:
        return f"stack the AppArmor profile {self.profile} at execve"


class RestrictLandlock(PayloadStep):
    """Enforce a Landlock ruleset: rights per path, ports, scopes; then see that `canary` is refused."""

    layer: ClassVar[str] = "landlock"
    phase: ClassVar[str] = "landlock"
    handled: tuple[int, int, int]
    paths: tuple[tuple[str, int], ...]
    canary: str

    def describe(self) -> str:
        return f"enforce a Landlock ruleset of {len(self.paths)} paths, and see that {self.canary} is refused"


class LoadFilter(PayloadStep):
    """Load the system-call filter; with `listener`, hand its notification descriptor to the supervisor."""

    layer: ClassVar[str] = "seccomp"
    phase: ClassVar[str] = "seccomp"
    program: bytes
    rules: int
    listener: bool

    def describe(self) -> str:
        told = ", denied calls told to the supervisor" if self.listener else ""
        return f"load the seccomp filter ({self.rules} rules{told})"


class Execute(PayloadStep):
    """Wait for the launcher's word, then execve(2) the first candidate that exists."""

    phase: ClassVar[str] = "execve"
    candidates: tuple[bytes, ...]
    argv: tuple[bytes, ...]
    environment: tuple[tuple[bytes, bytes], ...]

    def describe(self) -> str:
        return "execute " + " ".join(repr(arg.decode(errors="replace")) for arg in self.argv)
