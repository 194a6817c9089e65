"""icpc.json: submissions, judgements and runs as objects of the ICPC contest API (CCS specs, 2023-06). Pure.

https://ccs-specs.icpc.io/2023-06/contest_api. The contest starts with the grading. A run's `time` is the end of its
judgement: single ends are not kept. FLE has no identifier there and is given as RTE, IE as JE.
"""

from __future__ import annotations

import datetime as dt
import json

from jailpy.services.grading.results import Verdict
from jailpy.services.grading.words import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.results import Grading, SubmissionResult

    Json = dict[str, object]

_IDS = {Verdict.WTLE: "WTL", Verdict.ITLE: "ILE", Verdict.FLE: "RTE", Verdict.IE: "JE"}


def files(grading: Grading, _: Show) -> Iterator[tuple[str, bytes]]:
    """Yield the file's name and content."""
    judged = list(enumerate(grading.submissions, 1))
    objects = {
        "judgement-types": _types(),
        "submissions": [_submission(number, entry.name, entry.language) for number, entry in judged],
        "judgements": [_judgement(number, entry, grading) for number, entry in judged],
        "runs": [run for number, entry in judged for run in _runs(number, entry, grading)],
    }
    yield "icpc.json", json.dumps(objects, indent=1).encode() + b"\n"


def identifier(verdict: Verdict) -> str:
    """Return the contest API's identifier of a verdict."""
    return _IDS.get(verdict, verdict.value)


def _types() -> list[Json]:
    kept = [verdict for verdict in Verdict if identifier(verdict) == verdict.value or verdict in (Verdict.WTLE, Verdict.ITLE)]
    return [
        {
            "id": identifier(verdict),
            "name": verdict.words,
            "penalty": verdict not in (Verdict.AC, Verdict.CE, Verdict.JE),
            "solved": verdict == Verdict.AC,
        }
        for verdict in kept
    ]


def _submission(number: int, name: str, language: str) -> Json:
    return {"id": f"s{number}", "language_id": language or None, "entry_point": None, "files": [], "x_name": line(name)}


def _judgement(number: int, entry: SubmissionResult, grading: Grading) -> Json:
    started, ended = entry.started_at or grading.started_at, entry.ended_at or grading.ended_at
    times = [test.cpu_s for test in entry.tests if test.cpu_s is not None]
    return {
        "id": f"j{number}",
        "submission_id": f"s{number}",
        "judgement_type_id": identifier(entry.verdict),
        "score": entry.score,
        "start_time": started,
        "start_contest_time": _relative(started, grading.started_at),
        "end_time": ended,
        "end_contest_time": _relative(ended, grading.started_at),
        "max_run_time": round(max(times), 3) if times else None,
    }


def _runs(number: int, entry: SubmissionResult, grading: Grading) -> Iterator[Json]:
    ended = entry.ended_at or grading.ended_at
    for ordinal, test in enumerate(entry.tests, 1):
        yield {
            "id": f"j{number}-{ordinal}",
            "judgement_id": f"j{number}",
            "ordinal": ordinal,
            "judgement_type_id": identifier(test.verdict),
            "time": ended,
            "contest_time": _relative(ended, grading.started_at),
            "run_time": None if test.cpu_s is None else round(test.cpu_s, 3),
        }


def _relative(moment: str, start: str) -> str:
    """Return the time from `start` to `moment` as a RELTIME, h:mm:ss.uuu."""
    passed = dt.datetime.fromisoformat(moment) - dt.datetime.fromisoformat(start)
    milliseconds = max(0, round(passed.total_seconds() * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
