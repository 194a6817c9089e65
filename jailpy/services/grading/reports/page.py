"""What the page shows, as values for its template: texts are chosen and cut here, escaped there. Pure."""

from __future__ import annotations

import datetime as dt

import msgspec

from jailpy.services.grading.explain import explain, explain_submission
from jailpy.services.grading.reports.csv_report import most
from jailpy.services.grading.results import Verdict
from jailpy.services.grading.words import brief, count, number, seconds, short, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.services.grading.results import Excerpt, Grading, Limits, SubmissionResult, TestResult

_NAME, _COLUMN, _OUTPUT = 60, 24, 1500
_KINDS = {
    "right": (Verdict.AC,),
    "wrong": (Verdict.WA, Verdict.PE),
    "limit": (Verdict.TLE, Verdict.WTLE, Verdict.ITLE, Verdict.MLE, Verdict.OLE, Verdict.FLE),
    "crash": (Verdict.RTE, Verdict.SV),
    "compile": (Verdict.CE,),
    "ours": (Verdict.JE, Verdict.IE),
}
KIND = {verdict: kind for kind, verdicts in _KINDS.items() for verdict in verdicts}


class Cell(msgspec.Struct, frozen=True):
    """A cell of the matrix: one test of one submission."""

    verdict: str
    kind: str
    time: str
    hint: str
    anchor: str


class Text(msgspec.Struct, frozen=True):
    """A headed text of a program."""

    title: str
    text: str
    cut: bool


class Failure(msgspec.Struct, frozen=True):
    """A test that was not passed, with all that explains it."""

    name: str
    anchor: str
    verdict: str
    kind: str
    words: str
    explanation: str
    figures: str
    texts: list[Text]


class Row(msgspec.Struct, frozen=True):
    """A submission: its row in the matrix, and its section below."""

    anchor: str
    name: str
    title: str
    language: str
    verdict: str
    kind: str
    words: str
    score: str
    explanation: str
    figures: str
    cells: list[Cell | None]
    texts: list[Text]
    notes: list[str]
    failures: list[Failure]


class Page(msgspec.Struct, frozen=True):
    """The whole page."""

    problem: str
    when: str
    interrupted: str
    counts: list[tuple[str, str]]
    verdicts: list[tuple[str, str, str, int, float]]
    columns: list[tuple[str, str]]
    rows: list[Row]
    pending: list[str]
    limits: list[tuple[str, str]]
    facts: list[tuple[str, str]]
    has_scores: bool


class Budget:
    """How many characters of programs' output the page may still hold."""

    def __init__(self, left: int) -> None:
        self.left = left

    def text(self, title: str, excerpt: Excerpt) -> list[Text]:
        """Return an excerpt as a text, cut to what is left; none for an empty one."""
        if not excerpt.text:
            return []
        most = min(_OUTPUT, max(self.left, 0))
        shown = excerpt.text[:most]
        self.left -= len(shown)
        total = f" ({size(excerpt.total_bytes)})" if excerpt.total_bytes is not None else ""
        return [Text(title + total, shown, excerpt.truncated or len(excerpt.text) > most)]


def page(grading: Grading, budget: Budget) -> Page:
    """Choose what the page shows."""
    names = _columns(grading)
    has_scores = any(entry.score is not None for entry in grading.submissions)
    return Page(
        problem=short(grading.problem.title or grading.problem.name, 120),
        when=_when(grading),
        interrupted=_interrupted(grading),
        counts=_counts(grading),
        verdicts=_verdicts(grading),
        columns=[(short(name, _COLUMN), name) for name in names],
        rows=[_row(f"s{index}", entry, names, budget) for index, entry in enumerate(grading.submissions, 1)],
        pending=[short(name, _NAME) for name in grading.pending],
        limits=_limits(grading.problem.limits),
        facts=_facts(grading),
        has_scores=has_scores,
    )


def _columns(grading: Grading) -> list[str]:
    """Name the tests in judging order: those of the problem, and any other that was run."""
    planned = [case.name for case in grading.problem.tests]
    run = [test.name for entry in grading.submissions for test in entry.tests]
    return list(dict.fromkeys(planned + run))


def _when(grading: Grading) -> str:
    started, ended = (dt.datetime.fromisoformat(moment) for moment in (grading.started_at, grading.ended_at))
    return f"{started:%Y-%m-%d %H:%M:%S} UTC, in {seconds((ended - started).total_seconds())}"


def _interrupted(grading: Grading) -> str:
    if not grading.interrupted:
        return ""
    return f"The grading was interrupted: {count(len(grading.pending), 'submission')} not judged. --resume goes on from here."


def _counts(grading: Grading) -> list[tuple[str, str]]:
    entries = grading.submissions
    right = sum(entry.verdict == Verdict.AC for entry in entries)
    ours = sum(entry.verdict.is_ours for entry in entries)
    shown = [
        (str(len(entries)), "submissions"),
        (f"{right}", f"accepted, {right * 100 // len(entries)} %" if entries else "accepted"),
        (str(sum(len(entry.tests) for entry in entries)), "tests run"),
    ]
    scored = [entry.score for entry in entries if entry.score is not None]
    if scored:
        shown.append((number(round(sum(scored) / len(scored), 2)), f"points on average{_of(grading.problem.max_score)}"))
    return shown + ([(str(ours), "judge's faults")] if ours else [])


def _of(most: float | None) -> str:
    return f", of {number(most)}" if most is not None else ""


def _verdicts(grading: Grading) -> list[tuple[str, str, str, int, float]]:
    """Count the verdicts: abbreviation, words, kind, how many, and the bar's length in percent."""
    tally = {verdict: sum(entry.verdict == verdict for entry in grading.submissions) for verdict in Verdict}
    highest = max(tally.values()) or 1
    found = [(verdict, times) for verdict, times in tally.items() if times]
    return [(v.value, v.words, KIND[v], times, round(100 * times / highest, 1)) for v, times in found]


def _row(anchor: str, entry: SubmissionResult, names: list[str], budget: Budget) -> Row:
    order = {name: index for index, name in enumerate(names)}
    done = {test.name: test for test in entry.tests}
    cells = [_cell(f"{anchor}t{order[name]}", done.get(name)) for name in names]
    failed = [test for test in entry.tests if test.verdict != Verdict.AC]
    return Row(
        anchor=anchor,
        name=short(entry.name, _NAME),
        title=entry.name,
        language=short(entry.language, 20),
        verdict=entry.verdict.value,
        kind=KIND[entry.verdict],
        words=entry.verdict.words,
        score="" if entry.score is None else number(entry.score),
        explanation="" if failed else explain_submission(entry),
        figures=_most_used(entry),
        cells=cells,
        texts=budget.text("What the compiler says", entry.compile.output) if entry.compile and not entry.compile.ok else [],
        notes=[short(note, 200) for note in (*entry.notes, *(f"promise not kept: {words}" for words in entry.broken))],
        failures=[_failure(f"{anchor}t{order[test.name]}", test, budget) for test in failed],
    )


def _cell(anchor: str, test: TestResult | None) -> Cell | None:
    if test is None:
        return None
    time = "" if test.cpu_s is None else brief(test.cpu_s)
    hint = f"{test.name}: {test.verdict.words}. {_figures(test)}"
    return Cell(test.verdict.value, KIND[test.verdict], time, hint, "" if test.verdict == Verdict.AC else anchor)


def _failure(anchor: str, test: TestResult, budget: Budget) -> Failure:
    texts = budget.text("Output", test.output) + budget.text("Error output", test.error_output)
    if test.message.strip():
        texts.append(Text("The checker, for judges", test.message[:_OUTPUT], len(test.message) > _OUTPUT))
    return Failure(
        name=short(test.name, _NAME),
        anchor=anchor,
        verdict=test.verdict.value,
        kind=KIND[test.verdict],
        words=test.verdict.words,
        explanation=explain(test),
        figures=_figures(test),
        texts=texts,
    )


def _figures(test: TestResult) -> str:
    """Say what a run used, and the evidence of its verdict, in one line."""
    used = [
        "" if test.cpu_s is None else f"{seconds(test.cpu_s)} processor time",
        "" if test.wall_s is None else f"{seconds(test.wall_s)} elapsed",
        "" if test.memory_bytes is None else size(test.memory_bytes),
        f"run {test.timing.repeats} times, timed {test.timing.quality}" if test.timing.repeats > 1 else "",
        f"evidence: {short(test.evidence.source, 80)}" if test.evidence and test.evidence.source else "",
    ]
    return " · ".join(part for part in used if part)


def _most_used(entry: SubmissionResult) -> str:
    time, memory = most(test.cpu_s for test in entry.tests), most(test.memory_bytes for test in entry.tests)
    parts = ("" if time is None else f"at most {seconds(time)}", "" if memory is None else size(memory))
    return " · ".join(part for part in parts if part)


def _limits(limits: Limits) -> list[tuple[str, str]]:
    named = [
        ("processor time", limits.cpu_s, seconds),
        ("elapsed time", limits.wall_s, seconds),
        ("idle", limits.idle_s, seconds),
        ("memory", limits.memory_bytes, size),
        ("output", limits.output_bytes, size),
        ("source code", limits.code_bytes, size),
        ("compilation", limits.compile_s, seconds),
    ]
    files = [] if limits.file_writing else [("files", "read only")]
    return [(name, show(value)) for name, value, show in named if value is not None] + files


def _facts(grading: Grading) -> list[tuple[str, str]]:
    host = grading.host
    machine = ", ".join(filter(None, (host.cpu, count(host.cores, "core") if host.cores else "", host.machine)))
    facts = [("JailPy", grading.jailpy), ("machine", machine), ("kernel", host.kernel), ("problem", grading.problem.digest)]
    return facts + [(name, str(value)) for name, value in grading.options.items() if value is not None]
