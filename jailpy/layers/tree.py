"""The new root while it is planned: which paths exist already, which mount has which slot. Parent side, pure."""

from __future__ import annotations

import os.path

from jailpy.steps import mounts as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import Entry
    from jailpy.steps import Step


class Tree:
    """Collects steps; makes each missing parent folder once."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._made: set[str] = {"/"}
        self._mounted: set[str] = set()
        self._slots: dict[object, int] = {}
        self.private: set[str] = set()

    def __contains__(self, path: str) -> bool:
        return path in self._made

    def add(self, step: Step) -> None:
        """Append a step."""
        self.steps.append(step)

    def slot(self, key: object) -> int:
        """Return the slot number of a mount, the same for the same key."""
        return self._slots.setdefault(key, len(self._slots))

    def parents(self, path: str) -> None:
        """Make the folders above a path. Below a mounted host folder they exist already (host/sources.py saw to it)."""
        above = os.path.dirname(path)
        if above not in self._made and not self._below_host(above):
            self.folder(above)

    def _below_host(self, path: str) -> bool:
        return any(path == mounted or path.startswith(mounted + "/") for mounted in self._mounted)

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Make a folder, unless it is there."""
        if path in self._made:
            return
        self.parents(path)
        self._made.add(path)
        self.add(steps.MakeFolder(path=path.strip("/"), mode=mode))

    def file(self, path: str, content: bytes = b"") -> None:
        """Make a file, unless it is there."""
        if path in self._made:
            return
        self.parents(path)
        self._made.add(path)
        self.add(steps.MakeFile(path=path.strip("/"), content=content))

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, unless something is there."""
        if path in self._made:
            return
        self.parents(path)
        self._made.add(path)
        self.add(steps.MakeLink(path=path.strip("/"), target=target))

    def attach(self, slot: int, path: str, kind: str, host: bool = False) -> None:
        """Attach a mount, on a file or folder made for it; with `host`, what lies below is the host's."""
        if not self._below_host(os.path.dirname(path)):
            self.folder(path) if kind == "folder" else self.file(path)
        if host:
            self._mounted.add(path)
        self.add(steps.Attach(slot=slot, path=path.strip("/")))

    def is_private(self, path: str) -> bool:
        """Say whether a path lies in a private folder and not in something of the host shown there."""
        inside = any(path.startswith(folder.rstrip("/") + "/") for folder in self.private)
        return inside and not self._below_host(os.path.dirname(path))

    def entry(self, entry: Entry, path: str) -> None:
        """Show a host entry at a path: a link as the same link, anything else as a mount."""
        if entry.kind == "link":
            self.link(path, entry.target)
        else:
            self.attach(self.slot(entry), path, entry.kind, host=True)
