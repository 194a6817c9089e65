"""A merged document to the plain fields of a Profile, which marshal can keep, and to its digest. Parent side, pure."""

from __future__ import annotations

from jailpy import cache
from jailpy.profile import model
from jailpy.profile.values import clean_path, split_show, split_tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.profile.schema import Document

_TABLES = ("require", "identity", "filesystem", "network", "seccomp", "landlock", "apparmor", "limits", "environment")


def to_fields(document: Document, origin: str, loosened: tuple[str, ...]) -> dict[str, Any]:
    """Return each table's values in the order of its fields. The document is complete, checked and converted."""
    fields: dict[str, Any] = {table: _table(table, document) for table in _TABLES}
    fields["head"] = (document["name"], document["description"], digest_of(document), origin)
    fields["tail"] = (_plain("runtime", document["runtime"]), loosened)
    return fields


def digest_of(document: Document) -> str:
    """Return "sha256:..." over a document; the same on every Python and whatever the order of its keys."""
    plain = {key: sorted(value.items()) if isinstance(value, dict) else value for key, value in document.items()}
    return "sha256:" + cache.digest(ascii(sorted(plain.items())).encode())


def _table(table: str, document: Document) -> tuple[Any, ...]:
    kind = getattr(model, table.title())
    keys = [f"{table}.{field.rstrip('_')}" for field in kind._fields]
    return tuple(_plain(key, document[key]) for key in keys)


def _plain(key: str, value: Any) -> Any:
    if key in ("filesystem.ro", "filesystem.rw", "filesystem.cow"):
        return tuple(_show(*split_show(entry)) for entry in value)
    if key == "filesystem.tmpfs":
        return tuple(_tmpfs(*split_tmpfs(entry)) for entry in value)
    if isinstance(value, dict):
        return tuple(value.items())
    return tuple(value) if isinstance(value, list) else value


def _show(source: str, destination: str) -> tuple[str, str]:
    return source, clean_path(destination) if destination else ""


def _tmpfs(destination: str, size: int | None) -> tuple[str, int | None]:
    return clean_path(destination), size
