"""What a run gave: `CompletedRun`, after subprocess.CompletedProcess; and errors as they crossed from the server."""

from __future__ import annotations

from jailpy import errors, escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHOWN_ERROR = 500


class CompletedRun:
    """A run that has ended.

    `returncode` is the exit code or minus the signal, as in subprocess; None where JailPy could not learn it. `stdout` and
    `stderr` are what was captured: bytes, or text where it was asked for; None where it went elsewhere.
    """

    def __init__(self, args: list[str], report: dict[str, Any], stdout: Any = None, stderr: Any = None) -> None:
        self.args = args
        self.stdout = stdout
        self.stderr = stderr
        self._report = report

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that ended the payload."""
        code: int | None = self._report["exit_code"]
        return code if code is not None else None if self._report["signal"] is None else -int(self._report["signal"])

    @property
    def verdict(self) -> str:
        """How it ended: one of docs/reference/report.md's verdicts."""
        return str(self._report["verdict"])

    @property
    def evidence(self) -> dict[str, Any] | None:
        """What the verdict rests on, None where nothing limited the run."""
        return self._report["evidence"]  # type: ignore[no-any-return]

    @property
    def usage(self) -> dict[str, Any]:
        """What was used, each number with its source; None for what could not be measured."""
        return self._report["usage"]  # type: ignore[no-any-return]

    @property
    def violations(self) -> list[dict[str, Any]]:
        """The system calls that were denied, each with arguments and count."""
        return self._report["violations"]  # type: ignore[no-any-return]

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Each layer with its state and what was verified."""
        return self._report["layers"]  # type: ignore[no-any-return]

    def report(self) -> dict[str, Any]:
        """Return the whole report, the JSON object of `--report`."""
        return self._report

    def check(self) -> CompletedRun:
        """Return the run itself if the verdict is `ok`. Raises PayloadError."""
        if self.verdict == "ok":
            return self
        raise errors.PayloadError(f"{escape.line(self.args[0])}: {how(self)}", self)

    def __repr__(self) -> str:
        """Show command, verdict and status."""
        return f"CompletedRun({self.args!r}, verdict={self.verdict!r}, returncode={self.returncode})"


def how(run: CompletedRun) -> str:
    """Say in one line how a run ended: verdict, evidence, status, and the end of its standard error, made harmless."""
    found = run.evidence or {}
    limit = f"limit {found['configured']}, measured {found['measured']}, " if found.get("limit") else ""
    evidence = f" ({limit}{found['source']})" if found.get("source") else ""
    shown = run.stderr if isinstance(run.stderr, str) else (run.stderr or b"").decode(errors="backslashreplace")
    last = escape.line(shown.strip()[-_SHOWN_ERROR:])
    return f"{run.verdict}{evidence}, status {run.returncode}" + (f": {last}" if last else "")


def error(plain: dict[str, Any]) -> errors.JailPyError:
    """Make the exception that the server's answer tells of."""
    kind, message, hints = plain["type"], plain["message"], plain["hints"]
    if kind == "CommandError":
        return errors.CommandError(message, errno=plain["errno"], exit_status=plain["exit_status"], hints=hints)
    if kind == "LaunchError":
        return errors.LaunchError(message, layer=plain["layer"], step=plain["step"], errno=plain["errno"], hints=hints)
    if kind == "ProfileError":
        return errors.ProfileError(message, plain["problems"], hints)
    if kind == "HostError":
        from jailpy.layers import Need

        return errors.HostError(message, [Need(**need) for need in plain["needs"]], hints)
    if kind == "UsageError":
        return errors.UsageError(message, hints)
    return errors.InternalError(message, hints)
