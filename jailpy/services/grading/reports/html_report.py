"""report.html: one page without scripts, fonts or links to elsewhere. Pure.

The template escapes every text, after control characters and what hides or reorders text were made visible. A
Content-Security-Policy allows the page its own style sheet, by digest, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files as resources

import jinja2
from markupsafe import Markup

from jailpy.services.grading.reports.charts import Chart, scores, times
from jailpy.services.grading.reports.page import Budget, Page, page
from jailpy.services.grading.words import block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.results import Grading

_MOST_EXCERPTS = 4 << 20  # characters of programs' output in the whole page


def files(grading: Grading, _: Show) -> Iterator[tuple[str, bytes]]:
    """Yield the file's name and content."""
    charts = [chart for chart in (times(grading), scores(grading)) if chart]
    yield "report.html", render(page(grading, Budget(_MOST_EXCERPTS)), charts).encode()


def render(shown: Page, charts: list[Chart]) -> str:
    """Return the page."""
    folder = resources("jailpy.services.grading.reports")
    style = (folder / "page.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, finalize=_visible, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "page.html.jinja").read_text(encoding="utf-8"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return template.render(page=shown, charts=charts, style=Markup(style), digest=digest)  # noqa: S704 - a file of ours


def _visible(value: object) -> object:
    """Make a text visible before it is escaped; what is markup already (the style sheet) passes."""
    return block(value) if type(value) is str else value
