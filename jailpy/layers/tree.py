"""The new root while it is planned: which paths exist already, whose they are, which mount has which slot.

Parent side, pure.
"""

from __future__ import annotations

import os.path

from jailpy.steps import mounts as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import Entry
    from jailpy.steps import Step

PRIVATE, COW, HOST = "private", "cow", "host"


class Tree:
    """Collects steps; makes each missing parent folder once, and none in what the host shows."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.places: dict[str, str] = {}
        self._made: set[str] = {"/"}
        self._aside: set[str] = set()
        self._slots = 0

    def add(self, step: Step) -> None:
        """Append a step."""
        self.steps.append(step)

    def slot(self) -> int:
        """Return the number of a new slot."""
        self._slots += 1
        return self._slots

    def around(self, path: str) -> str:
        """Return what kind of place a path lies in: PRIVATE, COW, HOST, or "" for the new root itself."""
        while path != "/":
            path = os.path.dirname(path)
            if path in self.places:
                return self.places[path]
        return ""

    def _parents(self, path: str) -> None:
        if self.around(path) in ("", PRIVATE):
            self.folder(os.path.dirname(path))

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Make a folder, unless it is there."""
        if path not in self._made:
            self._parents(path)
            self._made.add(path)
            self.add(steps.MakeFolder(path=path.strip("/"), mode=mode))

    def aside(self, name: str, mode: int = 0o755) -> str:
        """Make a folder of the jail's disk, out of the new root; return its path."""
        path = f"{steps.DISK}/{name}"
        if path not in self._aside:
            if "/" in name:
                self.aside(os.path.dirname(name))
            self._aside.add(path)
            self.add(steps.MakeFolder(path=path, mode=mode))
        return path

    def file(self, path: str, content: bytes = b"") -> None:
        """Make a file, unless it is there."""
        if path not in self._made:
            self._parents(path)
            self._made.add(path)
            self.add(steps.MakeFile(path=path.strip("/"), content=content))

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, unless something is there."""
        if path not in self._made:
            self._parents(path)
            self._made.add(path)
            self.add(steps.MakeLink(path=path.strip("/"), target=target))

    def entry(self, entry: Entry, path: str, attributes: int) -> None:
        """Show a host entry at a path: a link as the same link, anything else as a mount."""
        if entry.kind == "link":
            self.link(path, entry.target)
        else:
            at = self.place(path, entry.kind, HOST)
            self.add(steps.ShowSystem(path=entry.target or entry.path, at=at, attributes=attributes))

    def place(self, path: str, kind: str, whose: str) -> str:
        """Make the file or folder that a mount is to cover, and say whose it is then; return its path in the new root.

        In what the host shows it exists already: jailpy/host/sources.py saw to it.
        """
        if self.around(path) in ("", PRIVATE):
            self.folder(path) if kind == "folder" else self.file(path)
        self.places[path] = whose
        return path.strip("/")

    def attach(self, slot: int, path: str, kind: str, whose: str, what: str) -> None:
        """Attach the mount of a slot."""
        self.add(steps.Attach(slot=slot, path=self.place(path, kind, whose), what=what))

    def copy(self, slot: int, source: str, path: str) -> None:
        """Copy a source into a folder that is the jail's own."""
        self._parents(path)
        self._made.add(path)
        self.add(steps.CopyTree(slot=slot, source=source, path=path.strip("/")))
