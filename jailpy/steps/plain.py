"""Steps of a launch without namespaces: a private work folder, an init by fork(2), an own uid where root starts it.

The work folder is known once the launcher has made it; until then steps speak of it as such.
"""

from __future__ import annotations

from jailpy.steps import Step
from jailpy.steps.process import ChangeFolder, DieWithLauncher, PayloadStep, RestrictLandlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class MakeWork(Step):
    """Make the run's folder below `base`, with the work folder in it, owned by `owner`; remove those of dead launchers.

    `root` is the folder that will be the payload's root, "" for the host's own; `stands_for` what the profile calls it.
    """

    layer: ClassVar[str] = "mount"
    side: ClassVar[str] = "launcher"
    phase: ClassVar[str] = "work"
    base: str
    root: str
    owner: tuple[int, int]
    stands_for: str

    def describe(self) -> str:
        return f"make a private work folder below {self.base} (it stands for {self.stands_for}), removed after the run"


class CopyIn(Step):
    """Copy a file or folder to a path in the work folder. `most` and `inodes` are what all copies together may have.

    With `content` it is a text of the caller's, and `source` its name.
    """

    layer: ClassVar[str] = "mount"
    side: ClassVar[str] = "launcher"
    phase: ClassVar[str] = "work"
    source: str
    path: str
    owner: tuple[int, int]
    most: int
    inodes: int
    content: bytes | None = None

    def describe(self) -> str:
        return f"copy {self.source} to {self.path} in the work folder"


class ForkInit(Step):
    """fork(2) and pidfd_open(2): containers hide clone3(2)."""

    layer: ClassVar[str] = "pid"
    side: ClassVar[str] = "launcher"
    phase: ClassVar[str] = "clone"

    def describe(self) -> str:
        return "fork init, without new namespaces"


class GatherOrphans(DieWithLauncher):
    """prctl(PR_SET_CHILD_SUBREAPER), setsid(2), and a signal at the launcher's death: init then kills what it started."""

    def describe(self) -> str:
        return "lead a session of its own, adopt orphans, and be told when the launcher dies"


class DieWithInit(PayloadStep):
    """prctl(PR_SET_PDEATHSIG, SIGKILL) in the payload's first process."""

    layer: ClassVar[str] = "pid"
    phase: ClassVar[str] = "session"

    def describe(self) -> str:
        return "die with init"


class ChangeRootOnly(PayloadStep):
    """chroot(2) to a folder, or with "empty" to the run's own; the filter refuses a second one."""

    layer: ClassVar[str] = "mount"
    phase: ClassVar[str] = "own-uid"
    path: str

    def describe(self) -> str:
        return "chroot to " + ("the run's own folder" if self.path == "empty" else self.path)


class BecomeUnused(PayloadStep):
    """Lock the securebits, empty the bounding set, take ids that nobody has, and give up every capability."""

    layer: ClassVar[str] = "capabilities"
    phase: ClassVar[str] = "own-uid"
    uid: int
    gid: int
    last: int

    def describe(self) -> str:
        return f"become uid {self.uid} without groups, lock the securebits and empty all five capability sets"


class GiveUpCapabilities(PayloadStep):
    """Empty four capability sets. The bounding set needs CAP_SETPCAP, and under no_new_privs says nothing."""

    layer: ClassVar[str] = "capabilities"
    phase: ClassVar[str] = "own-uid"

    def describe(self) -> str:
        return "empty the effective, permitted, inheritable and ambient capability sets"


class EnterWork(ChangeFolder):
    """chdir(2) to the work folder. `path` is what the profile calls it."""

    def describe(self) -> str:
        return f"change to the private work folder, which stands for {self.path}"


class RestrictInPlace(RestrictLandlock):
    """RestrictLandlock on the host's own paths, each reached without following a link; relative ones are in the work folder."""
