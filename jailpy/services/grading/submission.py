"""A submission as judging sees it: a name and files in memory, with paths that are safe to create below a folder. Pure."""

from __future__ import annotations

import hashlib

import msgspec


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `path` is relative, with `/`, without empty, `.` or `..` parts, without control characters."""

    path: str
    content: bytes


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a student handed in. `language` is None where the files are to say; `name` is unique in one grading.

    `notes` are remarks of the intake that do not keep it from being judged.
    """

    name: str
    files: tuple[SourceFile, ...]
    language: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(len(file.content) for file in self.files)

    @property
    def digest(self) -> str:
        """A SHA-256 over language, paths and contents, each with its length; the name does not count."""
        whole = hashlib.sha256()
        parts = [(self.language or "").encode()]
        for file in sorted(self.files, key=lambda entry: entry.path):
            parts += [file.path.encode(), file.content]
        for part in parts:
            whole.update(len(part).to_bytes(8, "big"))
            whole.update(part)
        return f"sha256:{whole.hexdigest()}"
