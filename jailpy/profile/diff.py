"""What is looser, tighter or just different between two documents, in plain words. Parent side, pure."""

from __future__ import annotations

from jailpy.profile.compare import DIFFERENT, LOOSER, TIGHTER, Change, changes
from jailpy.profile.schema import KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.profile.schema import Document

WAYS = (LOOSER, TIGHTER, DIFFERENT)
_ADDED = {
    "runtime": "is a preset in use",
    "require.layers": "is required",
    "require.prefer": "is used where the host has it",
    "require.tiers": "is accepted as a weaker tier",
    "filesystem.ro": "is shown read-only",
    "filesystem.rw": "is shown read-write",
    "filesystem.cow": "is shown copy-on-write",
    "filesystem.tmpfs": "is an empty private folder",
    "seccomp.allow": "is allowed",
    "seccomp.deny": "is denied",
    "landlock.drop": "is granted nowhere",
    "environment.pass": "is passed on from the caller",
}


def differences(before: Document, after: Document) -> list[tuple[str, str, str]]:
    """Return (way, key, words) of each difference, the looser ones first."""
    found = changes(before, after)
    return [(way, change.key, words(change)) for way in WAYS for change in found if change.way == way]


def words(change: Change) -> str:
    """Say one change in a sentence about the second profile."""
    if change.entry:
        said = _ADDED[change.key]
        if change.after == "not there":
            return f"{change.before} {said.replace('is ', 'is no longer ', 1)}"
        return f"{change.after} {said}"
    return f"{change.before} -> {change.after}{_how(change)}"


def _how(change: Change) -> str:
    key = KEYS.get(change.key)
    if key is None or key.looser != "more":
        return ""
    if change.after == "off":
        return ", no limit any more"
    if change.before == "off":
        return ", a limit where there was none"
    return ", more" if change.way == LOOSER else ", less"
