"""Steps of the cgroup layer, all applied by the launcher."""

from __future__ import annotations

from jailpy.steps import Step, size_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class CgroupStep(Step):
    """Any step of the cgroup layer."""

    layer: ClassVar[str] = "cgroup"
    side: ClassVar[str] = "launcher"
    phase: ClassVar[str] = "cgroup-make"


class MakeCgroup(CgroupStep):
    """Make one fresh cgroup for the run below `parent`, a folder of the hierarchy of `controllers`."""

    parent: str
    controllers: tuple[str, ...]
    version: int

    def describe(self) -> str:
        what = ", ".join(self.controllers) or "no controller"
        return f"make a cgroup (version {self.version}: {what}) below {self.parent}"


class SetCgroupLimit(CgroupStep):
    """Write one limit and read it back. A `required` one that does not read back stops the launch."""

    parent: str
    file: str
    value: str
    required: bool = True

    def describe(self) -> str:
        return f"set {self.file} to {self.value} and read it back"


class JoinCgroup(CgroupStep):
    """Move init into the run's version 1 cgroups (version 2: clone3 starts it there).

    init writes 0 to the `tasks` files that the launcher opened: a thread that moves itself waits for no RCU grace period.
    """

    side: ClassVar[str] = "init"
    phase: ClassVar[str] = "cgroup-join"

    def describe(self) -> str:
        return "move init into the run's version 1 cgroups"


class JoinGroups(JoinCgroup):
    """JoinCgroup for both versions: an init that is forked is not born in a version 2 group."""

    def describe(self) -> str:
        return "move init into the run's cgroups"


class SampleProcesses(CgroupStep):
    """Without a controller: look at the run's processes in /proc again and again, and end the run where it exceeds a limit.

    `memory` in bytes and `processes` are None where something else bounds them.
    """

    memory: int | None
    processes: int | None

    def describe(self) -> str:
        bounds = [f"{size_words(self.memory)} of memory"] if self.memory is not None else []
        bounds += [f"{self.processes} tasks"] if self.processes is not None else []
        what = f", and end it above {' or '.join(bounds)}" if bounds else ""
        return f"watch the memory and CPU time of the run's processes in /proc{what}"


class EnterScope(CgroupStep):
    """Ask systemd for a transient scope with Delegate=yes, and move the launcher to a leaf of it.

    It is the user manager that is asked; for root the system's. `controllers` are those that the scope must have.
    """

    base: str
    controllers: tuple[str, ...]

    def describe(self) -> str:
        return f"ask systemd for a delegated scope with {', '.join(self.controllers)} and move the launcher there"


class EnterLeaf(CgroupStep):
    """Move the launcher to a leaf of its own delegated group, which then can give controllers to its children."""

    base: str
    controllers: tuple[str, ...]

    def describe(self) -> str:
        return f"move the launcher to a leaf of {self.base} and enable {', '.join(self.controllers)} beside it"


class EnableControllers(CgroupStep):
    """Enable controllers for the children of a delegated group that holds no process itself."""

    base: str
    controllers: tuple[str, ...]

    def describe(self) -> str:
        return f"enable {', '.join(self.controllers)} below {self.base}"
