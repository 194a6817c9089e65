"""Steps of the mount layer. Paths of the jail are relative to its new root while it is built: "etc/passwd".

Mounts travel in slots: a step opens one under a number, a later step attaches it.
"""

from __future__ import annotations

from jailpy.steps import Step, size_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

# Where the tmpfs of the disk limit is attached while the new root is built: over a folder of the host's tree in this namespace,
# which is left behind. Only what is taken out of it is ever in the jail.
DISK = "/dev"
_WORDS = {0x1: "read-only", 0x2: "nosuid", 0x4: "nodev", 0x8: "noexec", 0x200000: "nosymfollow"}


def attribute_words(attributes: int) -> str:
    """Return mount attributes as mount(8) spells them."""
    return ", ".join(word for bit, word in _WORDS.items() if attributes & bit) or "no restrictions"


def place(path: str) -> str:
    """Return a path of the new root as it is in the jail, one of the disk by its name there."""
    return f"{path[len(DISK) + 1 :] or 'all'} of the jail's disk" if path.startswith("/") else f"/{path}"


class MountStep(Step):
    """Any step of the mount layer."""

    layer: ClassVar[str] = "mount"
    phase: ClassVar[str] = "mounts"


class CutPropagation(MountStep):
    """Make every mount of the namespace private."""

    def describe(self) -> str:
        return "cut mount propagation between the jail and the host"


class ShowSystem(MountStep):
    """Show a file or folder of the host's own system at a place of the new root; both ends are trusted paths."""

    path: str
    at: str
    attributes: int

    def describe(self) -> str:
        return f"show {self.path} at /{self.at}, {attribute_words(self.attributes)}"


class OpenSource(MountStep):
    """Take a detached copy of the host mount at a path, reached without following any link."""

    slot: int
    path: str
    attributes: int

    def describe(self) -> str:
        return f"open {self.path} to show it {attribute_words(self.attributes)}"


class MapSource(MountStep):
    """OpenSource by a launcher that is root, with the ids of the source's owner mapped to those of the jail."""

    side: ClassVar[str] = "launcher"
    phase: ClassVar[str] = "sources"
    slot: int
    path: str
    attributes: int
    owner: tuple[int, int]
    outside: tuple[int, int]

    def describe(self) -> str:
        words = attribute_words(self.attributes)
        return f"open {self.path} as root to show it {words}, its owner {self.owner[0]}:{self.owner[1]} as the jail's user"


class HoldScript(MountStep):
    """Hold a text of the caller's as a file in memory, for a copy of it."""

    side: ClassVar[str] = "launcher"
    phase: ClassVar[str] = "sources"
    slot: int
    name: str
    content: bytes

    def describe(self) -> str:
        return f"hold the {len(self.content)} bytes of {self.name} in memory"


class NewTmpfs(MountStep):
    """Make a tmpfs; `size` in bytes."""

    slot: int
    size: int
    inodes: int
    mode: int
    attributes: int

    def describe(self) -> str:
        words = attribute_words(self.attributes)
        return f"make a tmpfs of {size_words(self.size)} and {self.inodes} inodes ({words})"


class EnterRoot(MountStep):
    """Attach the new root over the root of the namespace and work from there: relative paths are the jail's from now on.

    Absolute ones stay the host's, for they begin at the process's root, which is below the new one.
    """

    slot: int

    def describe(self) -> str:
        return "build the new root on it, in this mount namespace only"


class MakeFolder(MountStep):
    """Make a folder in the new root."""

    path: str
    mode: int = 0o755

    def describe(self) -> str:
        return f"make the folder {place(self.path)}"


class MakeFile(MountStep):
    """Write a small file in the new root: an /etc file, or an empty one to attach a mount to."""

    path: str
    content: bytes = b""
    mode: int = 0o644

    def describe(self) -> str:
        return f"write /{self.path} ({len(self.content)} bytes)" if self.content else f"make the empty file /{self.path}"


class MakeLink(MountStep):
    """Make a symbolic link in the new root."""

    path: str
    target: str

    def describe(self) -> str:
        return f"link /{self.path} to {self.target}"


class Attach(MountStep):
    """Attach the mount of a slot at a path, reached without following any link. `what` names it for the words."""

    slot: int
    path: str
    what: str

    def describe(self) -> str:
        return f"show {self.what} at /{self.path}"


class TakeFolder(MountStep):
    """Take a detached copy of a folder of the new root, with attributes of its own."""

    slot: int
    path: str
    attributes: int

    def describe(self) -> str:
        return f"take {place(self.path)} as a mount of its own ({attribute_words(self.attributes)})"


class NewOverlay(MountStep):
    """Make an overlay filesystem: reads come from `lower`, where `what` is attached, writes stay in `upper`."""

    slot: int
    what: str
    lower: str
    upper: str
    work: str
    attributes: int

    def describe(self) -> str:
        return f"lay a writable layer in the jail's tmpfs over {self.what}"


class CopyTree(MountStep):
    """Copy a file or folder of a slot into the jail, links as links, nothing but files, folders and links."""

    slot: int
    source: str
    path: str

    def describe(self) -> str:
        return f"copy {self.source} to {place(self.path)}"


class NewProc(MountStep):
    """Mount a procfs of the jail's pid namespace. See proc(5), hidepid."""

    slot: int
    attributes: int

    def describe(self) -> str:
        return "mount a proc filesystem that knows the jail's own processes only"


class NewDevpts(MountStep):
    """Mount a devpts instance of the jail's own."""

    slot: int

    def describe(self) -> str:
        return "mount a pseudo-terminal filesystem of the jail's own"


class Mask(MountStep):
    """Cover paths: files by the jail's /dev/null (`file_cover`), folders by an empty one (`folder_cover`)."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    file_cover: str
    folder_cover: str

    def describe(self) -> str:
        return "mask " + ", ".join(f"/{path}" for path in (*self.files, *self.folders))


class AttachBehind(MountStep):
    """Attach the mount of a slot at an absolute path, in the host's tree of this namespace: `DISK` or a folder of it."""

    slot: int
    path: str
    what: str

    def describe(self) -> str:
        return (
            f"put {self.what} aside as {place(self.path)}" if self.path != DISK else f"put {self.what} aside as the jail's disk"
        )


class RootStep(MountStep):
    """Any step of the mount layer that finishes the new root."""

    phase: ClassVar[str] = "root"


class BindReadOnly(RootStep):
    """Bind a folder over itself, read-only."""

    path: str

    def describe(self) -> str:
        return f"make /{self.path} read-only"


class SetAttributes(RootStep):
    """Set the attributes of the mount at a path of the new root ("" is the root itself), not of those below it."""

    path: str
    attributes: int

    def describe(self) -> str:
        return f"make /{self.path} {attribute_words(self.attributes)}"


class ChangeRoot(RootStep):
    """Make the new root the root: pivot_root(2), or chroot(2) where the old root is an initramfs."""

    method: str

    def describe(self) -> str:
        left = "leave the host's tree" if self.method == "pivot_root" else "the host's tree stays, covered and unreachable"
        return f"{self.method} into the new root; {left}"


class OfferFolder(RootStep):
    """Hand the launcher a read-only, link-proof view of a folder.

    `purpose` is "disk" (its fill is measured after the run) or "collect" (files are taken out of it).
    """

    path: str
    purpose: str

    def describe(self) -> str:
        return f"hand the launcher a read-only view of {place(self.path)} ({self.purpose})"
