"""Why an attack proves nothing here: the profile allows what it wants, or its control is impossible. Parent side."""

from __future__ import annotations

import os

from jailpy.host import surroundings
from jailpy.layers import seccomp_filter
from jailpy.steps.process import ForbidUserNamespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.plan.compile import Plan
    from jailpy.services.attacks import Attack

_NESTING = ("nest_user_namespace", "allow_nesting")
_EXECUTING = ("execute_copied_program", "execute_by_loader")


def reason(attack: Attack, plan: Plan, folder: str) -> str:
    """Return the reason, "" where the attack applies. `folder` is where controls write."""
    if attack.layer == "seccomp":
        return _seccomp(attack, plan)
    if attack.name in _EXECUTING:
        return _executing(plan, folder)
    if attack.layer == "no-new-privs":
        return _no_new_privs(attack, plan)
    if attack.name in _NESTING and not any(isinstance(step, ForbidUserNamespaces) for step in plan.steps):
        return "the filter alone forbids it here: see seccomp"
    if attack.name == "see_host_name" and plan.profile.identity.hostname == os.uname().nodename:
        return "the profile's host name is the host's own"
    if attack.name == "see_cgroup_path" and plan.profile.filesystem.proc == "none":
        return "the jail has no /proc to see it in"
    if attack.name == "write_large_file" and plan.profile.limits.file_size is None:
        return "the profile sets no limit"
    return ""


def _seccomp(attack: Attack, plan: Plan) -> str:
    wanted = plan.profile.seccomp
    if wanted.violation == "record":
        return "the profile records system calls and lets them through"
    if not attack.call:
        return ""
    policy = seccomp_filter.policy(wanted.allow, wanted.deny, wanted.violation, plan.profile.filesystem.exec)
    allowed = {decision.name for decision in policy.decisions if decision.errno is None and () in decision.alternatives}
    if attack.call in allowed:
        return f"the profile allows {attack.call}"
    if attack.name == "use_io_uring" and surroundings.text("/proc/sys/kernel/io_uring_disabled") not in ("", "0"):
        return "kernel.io_uring_disabled is set on this host"
    return ""


def _executing(plan: Plan, folder: str) -> str:
    if plan.profile.filesystem.exec == "any":
        return 'the profile allows it (filesystem.exec = "any")'
    return "the temporary folder is mounted noexec" if os.statvfs(folder).f_flag & os.ST_NOEXEC else ""


def _no_new_privs(attack: Attack, plan: Plan) -> str:
    if attack.name == "gain_by_set_uid" and plan.profile.filesystem.proc == "none":
        return "the jail has no /proc to see it in"
    if "NoNewPrivs:\t1" in surroundings.text("/proc/self/status"):
        return "no_new_privs is set on the caller already"
    if attack.name == "gain_by_set_uid" and os.statvfs("/usr/bin").f_flag & os.ST_NOSUID:
        return "/usr is mounted nosuid"
    return ""
