"""The store: results in SQLite beside the reports, each kept as soon as it is there. A grading that broke off goes on from it.

A result is found again by digests of the problem, the submission and what was asked for; whatever changed is judged anew.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from typing import TypeVar

import msgspec

from jailpy import __version__
from jailpy.errors import UsageError
from jailpy.services.grading.results import Limits, SubmissionResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from jailpy.services.grading.submission import Submission

T = TypeVar("T")
NAME = "results.sqlite"
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS results (
    asked TEXT NOT NULL, name TEXT NOT NULL, submission TEXT NOT NULL, result BLOB NOT NULL,
    PRIMARY KEY (asked, name, submission)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS limits (asked TEXT PRIMARY KEY, limits BLOB NOT NULL) WITHOUT ROWID;
"""


def asked(problem: str, options: Mapping[str, object]) -> str:
    """Return a digest of a problem's digest, the options that can change a verdict, and JailPy's version."""
    text = msgspec.json.encode([problem, sorted(options.items()), __version__])
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


class Store:
    """Results of gradings into one folder. A context manager, for one thread. Raises UsageError where it cannot be used.

    One grading at a time: the file is locked until it is closed.
    """

    def __init__(self, folder: str, asked: str) -> None:
        self.path = os.path.join(folder, NAME)
        self._asked = asked
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)  # students of the same host are not to read it
            self._database = sqlite3.connect(self.path, timeout=1, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"{self.path}: the results cannot be kept: {getattr(error, 'strerror', None) or error}") from error
        try:
            self._open()
        except sqlite3.Error as error:
            self._database.close()
            raise _unusable(self.path, error) from error

    def _open(self) -> None:
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")  # with NORMAL, a result costs 0.1 ms and not 6
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("BEGIN EXCLUSIVE")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"it is of version {version}")
        for statement in _TABLES.split(";"):
            self._database.execute(statement)
        self._database.execute(f"PRAGMA user_version = {_VERSION}")
        self._database.execute("COMMIT")

    def find(self, submission: Submission) -> SubmissionResult | None:
        """Return what is known of a submission, None where it is to be judged: never was, or a fault of the jail came of it."""
        found = self._one(
            "SELECT result FROM results WHERE asked = ? AND name = ? AND submission = ?",
            (self._asked, submission.name, submission.digest),
        )
        if found is None:
            return None
        result = self._decoded(found, SubmissionResult)
        return None if result.verdict == "IE" else result

    def keep(self, submission: Submission, result: SubmissionResult) -> None:
        """Keep a result. It survives the end of this process, however that ends."""
        self._write(
            "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)",
            (self._asked, submission.name, submission.digest, msgspec.json.encode(result)),
        )

    def limits(self) -> Limits | None:
        """Return the limits of the grading that broke off: a time limit that was measured stays what it was."""
        found = self._one("SELECT limits FROM limits WHERE asked = ?", (self._asked,))
        return None if found is None else self._decoded(found, Limits)

    def keep_limits(self, limits: Limits) -> None:
        """Keep the limits."""
        self._write("INSERT OR REPLACE INTO limits VALUES (?, ?)", (self._asked, msgspec.json.encode(limits)))

    def close(self) -> None:
        """Close the file, which unlocks it."""
        self._database.close()

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _one(self, query: str, values: tuple[object, ...]) -> bytes | str | None:
        try:
            found = self._database.execute(query, values).fetchone() or (None,)
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error
        return found[0] if isinstance(found[0], bytes | str) else None

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error

    def _decoded(self, data: bytes | str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.MsgspecError as error:
            raise UsageError(f"{self.path}: holds what is no result: {error}", _HINT) from error


_HINT = ["remove the file to judge everything anew"]


def _unusable(path: str, error: sqlite3.Error) -> UsageError:
    if "locked" in str(error):
        return UsageError(f"{path}: another grading is writing there", ["wait for it, or name another folder with --report"])
    return UsageError(f"{path}: is not a store of results that can be used: {error}", _HINT)
