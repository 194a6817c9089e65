"""`jailpy exec`: run one command in a jail. On the way to execve: imports stay few."""

from __future__ import annotations

from jailpy import api
from jailpy.cli import options
from jailpy.cli.console import complain, say
from jailpy.cli.request import Streams, request
from jailpy.errors import JailPyError
from jailpy.plan import tiers
from jailpy.profile.load import shadow_warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jailpy.cli.options import Parsed
    from jailpy.cli.outputs import ReportFile
    from jailpy.plan.compile import Plan


def main(arguments: Sequence[str]) -> int | None:
    """Run `exec` and return its exit status, None where its help text was asked for."""
    try:
        parsed = options.parse(arguments)
    except JailPyError as error:
        return complain(error)
    return None if parsed is None else execute(parsed)


def execute(parsed: Parsed) -> int:
    """Plan, launch, supervise, report. Returns the exit status."""
    started_at = api.now()
    plan = None
    streams = None
    report = None
    try:
        report = _report_file(parsed)
        wanted = request(parsed)
        warning = shadow_warning(wanted.profile)
        if warning and not parsed.has("quiet"):
            say(f"warning: {warning}")
        plan = api.plan(wanted)
        if parsed.has("verbose"):
            say_plan(plan)
        if not parsed.has("quiet"):
            _warn_of_foreign_files(plan)
        streams = Streams(parsed)  # after the plan: a refused profile truncates nothing
        result = api.run(plan, wanted.get, streams.numbers)
        status = _finish(parsed, result, report)
    except JailPyError as error:
        status = complain(error)
        _report_failure(parsed, report, plan, error, started_at)
    except Exception as error:
        _report_failure(parsed, report, plan, error, started_at)
        raise
    finally:
        for opened in (streams, report):
            if opened:
                opened.close()
    return status


def refuse(parsed: Parsed, error: JailPyError) -> int:
    """Say and report that nothing was started; return the exit status."""
    try:
        report = _report_file(parsed)
        _report_failure(parsed, report, None, error, api.now())
        if report:
            report.close()
    except JailPyError as second:
        complain(second)
    return complain(error)


def _report_file(parsed: Parsed) -> ReportFile | None:
    """Open what --report names, before the run can change it."""
    if not parsed.has("report"):
        return None
    from jailpy.cli import outputs

    return outputs.ReportFile(parsed.last("report"))


def _warn_of_foreign_files(plan: Plan) -> None:
    for source in plan.command.sources:
        if source.foreign:
            say(f"warning: --{source.mode} {source.path}: {source.foreign}")


def _finish(parsed: Parsed, result: api.Result, report: ReportFile | None) -> int:
    if report:
        write_report(report, result.report)
    if not parsed.has("quiet"):
        _say_ending(parsed, result)
    _say_collected(parsed, result)
    return result.outcome.exit_status()


def _say_ending(parsed: Parsed, result: api.Result) -> None:
    outcome = result.outcome
    if outcome.verdict not in ("ok", "nonzero_exit") or outcome.violation_count or parsed.has("verbose"):
        from jailpy.report import words

        for line in (words.ending(outcome), words.violations(outcome)):
            if line:
                say(line)
        if parsed.has("verbose"):
            say(words.summary(outcome))
    if outcome.verdict == "nonzero_exit" and result.plan:
        from jailpy.cli import unshown

        hint = unshown.hint(result.plan)
        if hint:
            say(hint)


def _say_collected(parsed: Parsed, result: api.Result) -> None:
    """Say what --get did not take, with -q too: a missing result is an error. Then what it took and one should look at."""
    for entry in result.collected:
        if entry["refused"]:
            say(f"--get {entry['name']}: refused: {entry['refused']}")
        elif entry["warning"] and not parsed.has("quiet"):
            say(f"warning: --get {entry['name']}: {entry['warning']}")


def _report_failure(parsed: Parsed, report: ReportFile | None, plan: Plan | None, error: Exception, started_at: str) -> None:
    if report:
        from jailpy.report.record import not_started, record

        profile = parsed.last("profile", "strict")
        write_report(report, record(plan, parsed.command, not_started(error), {}, started_at, [], profile))


def write_report(file: ReportFile, report: dict[str, object]) -> None:
    """Write the JSON report."""
    import json

    try:
        file.write(json.dumps(report, indent=2) + "\n")
    except OSError as error:
        say(f"error: --report {file.path}: {error.strerror}")


def say_plan(plan: Plan) -> None:
    """Say the weaker tiers in force, and every step of the plan, for -v."""
    for tier in plan.tiers:
        say(tiers.words(tier))
    for step in plan.steps:
        say(f"{step.layer}: {step.describe()}")
