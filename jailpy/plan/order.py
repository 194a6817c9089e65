"""The order of the steps: one list of phases, each with the reason for its place. Parent side, pure."""

from __future__ import annotations

from jailpy.plan import view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jailpy.steps import Step

ORDER: tuple[tuple[str, str], ...] = (
    ("cgroup-make", "the limits stand before the first process of the jail exists"),
    ("sources", "a launcher that is root opens sources while it still may"),
    ("work", "the work folder stands before anybody works in it"),
    ("clone", "init is born in its namespaces, and on version 2 in its cgroup"),
    ("id-map", "without ids init may do nothing"),
    ("identity", "a process without ids cannot mount"),
    (view.PHASE, "the same for every run: a template may have done it before"),
    ("birth", "from here on init belongs to its run"),
    ("cgroup-join", "what init builds and copies in counts in the run's memory, and the payload is born there"),
    ("cgroup-namespace", "its root is the group that init is in now"),
    ("mounts", "mounting needs the capabilities that are dropped later"),
    ("sysctl", "the jail's procfs is there and still writable"),
    ("root", "the host's tree is left once everything to be shown is attached"),
    ("terminal", "the new devpts is mounted"),
    ("capabilities", "nothing after this needs any"),
    ("no-new-privs", "Landlock and seccomp demand it of a process without capabilities"),
    ("init", "init is hidden once the payload is forked, before it runs"),
    ("init-closed", "until here init can say what failed"),
    ("session", "the payload's own process from here on"),
    ("own-uid", "root keeps its rights until the payload has its own process, and no longer"),
    ("stdio", "what the caller left open is closed before it counts against the open-files limit"),
    ("rlimits", "inside the namespaces: outside they would count ended jails' processes"),
    ("apparmor", "the request needs /proc, which Landlock makes read-only"),
    ("landlock", "before seccomp, so that the filter need not allow landlock_*"),
    ("seccomp", "it forbids what the steps above need"),
    ("open-files", "with so low a limit the filter's listener might not be sent (ETOOMANYREFS)"),
    ("execve", "the payload"),
)
_RANK = {phase: rank for rank, (phase, _) in enumerate(ORDER)}


def ordered(steps: Sequence[Step]) -> tuple[tuple[Step, ...], range]:
    """Sort steps by phase; within a phase they keep the order in which their layer planned them.

    Also return where in the result the steps of the view are.
    """
    once = view.shared(steps)
    ranks = [_RANK[view.PHASE if position in once else step.phase] for position, step in enumerate(steps)]
    order = sorted(range(len(steps)), key=ranks.__getitem__)
    first = sum(rank < _RANK[view.PHASE] for rank in ranks)
    return tuple(steps[position] for position in order), range(first, first + len(once))
