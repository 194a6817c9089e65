"""report.json: the whole grading, in the types of results.py. Pure."""

from __future__ import annotations

import msgspec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.results import Grading


def files(grading: Grading, _: Show) -> Iterator[tuple[str, bytes]]:
    """Yield the file's name and content."""
    yield "report.json", msgspec.json.format(msgspec.json.encode(grading), indent=2) + b"\n"
