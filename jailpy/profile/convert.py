"""A merged document to the Profile that the rest of the program reads. Parent side, pure, on the way of every start."""

from __future__ import annotations

from jailpy import cache
from jailpy.profile import model
from jailpy.profile.values import clean_path, split_show, split_tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.profile.schema import Document


def to_profile(document: dict[str, Any], digest: str, origin: str, loosened: tuple[str, ...]) -> model.Profile:
    """Build the value. The document is complete, checked and converted: see merge and check."""
    return model.Profile(
        name=document["name"],
        description=document["description"],
        digest=digest,
        origin=origin,
        require=_table(model.Require, "require", document),
        identity=_table(model.Identity, "identity", document),
        filesystem=_filesystem(document),
        network=_table(model.Network, "network", document),
        seccomp=_table(model.Seccomp, "seccomp", document),
        landlock=_table(model.Landlock, "landlock", document),
        apparmor=_table(model.Apparmor, "apparmor", document),
        limits=_table(model.Limits, "limits", document),
        environment=_environment(document),
        runtime=tuple(document["runtime"]),
        loosened=loosened,
    )


def digest_of(document: Document) -> str:
    """Return "sha256:..." over a document; the same on every Python and whatever the order of its keys."""
    plain = sorted((key, sorted(value.items()) if isinstance(value, dict) else value) for key, value in document.items())
    return "sha256:" + cache.digest(ascii(plain).encode())


def _table(kind: Any, table: str, document: dict[str, Any]) -> Any:
    """Build one table's value: its fields are the keys' names."""
    values = [document[f"{table}.{field}"] for field in kind._fields]
    return kind(*[tuple(value) if isinstance(value, list) else value for value in values])


def _filesystem(document: dict[str, Any]) -> model.Filesystem:
    return model.Filesystem(
        root=document["filesystem.root"],
        ro=_shows(document["filesystem.ro"]),
        rw=_shows(document["filesystem.rw"]),
        cow=_shows(document["filesystem.cow"]),
        tmpfs=tuple(_tmpfs(entry) for entry in document["filesystem.tmpfs"]),
        workdir=document["filesystem.workdir"],
        proc=document["filesystem.proc"],
        exec=document["filesystem.exec"],
    )


def _shows(entries: list[str]) -> tuple[model.Show, ...]:
    return tuple(_show(*split_show(entry)) for entry in entries)


def _show(source: str, destination: str) -> model.Show:
    return model.Show(source, clean_path(destination) if destination else "")


def _tmpfs(entry: str) -> model.Tmpfs:
    destination, size = split_tmpfs(entry)
    return model.Tmpfs(clean_path(destination), size)


def _environment(document: dict[str, Any]) -> model.Environment:
    return model.Environment(tuple(document["environment.pass"]), tuple(document["environment.set"].items()))
