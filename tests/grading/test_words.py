"""What students read: figures, explanations of every verdict, escaping, redaction."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jailpy.services.grading import words
from jailpy.services.grading.explain import explain, explain_submission
from jailpy.services.grading.redact import redact_submission
from jailpy.services.grading.results import CompileResult, Evidence, Excerpt, SubmissionResult, TestResult, Timing, Verdict

MB = 1 << 20


def test_of(verdict, **fields):
    return TestResult(name="secret/1", verdict=verdict, **fields)


test_of.__test__ = False


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KB"), (256 * MB, "256 MB"), (1 << 30, "1 GB"), (3 << 50, "3072 TB")],
)
def test_sizes(count, text):
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 s"), (0.0004, "under 1 ms"), (0.004, "0.004 s"), (0.04, "0.04 s"), (0.8, "0.8 s"), (2, "2 s"), (100.4, "100 s")],
)
def test_times(value, text):
    assert words.seconds(value) == text


@pytest.mark.parametrize(
    ("test", "text"),
    [
        (
            test_of(Verdict.MLE, wall_s=0.81, evidence=Evidence(limit="memory", configured=256 * MB, measured=256 * MB)),
            "Your program used more than 256 MB; it was stopped at 256 MB after 0.8 s.",
        ),
        (
            test_of(
                Verdict.TLE, cpu_s=2.01, evidence=Evidence(limit="cpu", configured=2, measured=2.01), timing=Timing(repeats=2)
            ),
            "Your program needed more than 2 s of processor time; it was stopped after it had used 2 s. It was tried 2 times.",
        ),
        (
            test_of(Verdict.WTLE, cpu_s=0.01, evidence=Evidence(limit="wall", configured=4)),
            "Your program was not done after 4 s, though it had used only 0.01 s of processor time: it waits for something.",
        ),
        (
            test_of(Verdict.ITLE, evidence=Evidence(limit="idle", configured=3)),
            "Your program did nothing for 3 s: it waits for input that does not come, or forgot to flush its output.",
        ),
        (
            test_of(Verdict.OLE, evidence=Evidence(limit="output", configured=8 * MB)),
            "Your program printed more than 8 MB; it was stopped.",
        ),
        (
            test_of(Verdict.FLE, evidence=Evidence(limit="file_size", configured=64 * MB)),
            "Your program wrote more than 64 MB to files.",
        ),
        (test_of(Verdict.FLE, evidence=Evidence(limit="inodes", configured=16)), "Your program made more than 16 files."),
        (
            test_of(Verdict.RTE, evidence=Evidence(limit="processes", configured=32), exit_code=1),
            "Your program tried to start more than 32 processes and threads, and failed.",
        ),
        (
            test_of(Verdict.RTE, exit_code=3),
            "Your program ended with exit code 3; it has to end with 0, and not by an uncaught error.",
        ),
        (
            test_of(Verdict.RTE, signal=8, wall_s=0.1),
            "Your program crashed after 0.1 s with SIGFPE: it made an impossible calculation, mostly a division by zero.",
        ),
        (test_of(Verdict.RTE, signal=77), "Your program crashed with signal 77."),
        (
            test_of(Verdict.SV, evidence=Evidence(limit="seccomp", source="ptrace")),
            "Your program tried something that is not allowed here (ptrace); it was stopped.",
        ),
        (
            test_of(Verdict.SV, evidence=Evidence(limit="system calls", source="denied: socket x1")),
            "Your program tried something that is not allowed here (denied: socket x1); that failed, and so did your program.",
        ),
        (
            test_of(Verdict.WA, team_message="line 3:\x1b[2J expected 4\n"),
            "Your program ran to its end, but its answer is not the right one. The checker says: line 3:\\x1b[2J expected 4",
        ),
        (
            test_of(Verdict.WA, output=Excerpt(text="", total_bytes=0)),
            "Your program ran to its end, but its answer is not the right one. It printed nothing.",
        ),
        (test_of(Verdict.AC, cpu_s=0.02), "Your program gave the right answer in 0.02 s."),
    ],
)
def test_explanations(test, text):
    assert explain(test) == text


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_explained_without_any_figure(verdict):
    text = explain(test_of(verdict))
    assert "None" not in text
    assert text.endswith(".")


@pytest.mark.parametrize("verdict", [Verdict.JE, Verdict.IE])
def test_our_faults_do_not_count(verdict):
    assert "does not count against you" in explain(test_of(verdict))


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (SubmissionResult(name="a", verdict=Verdict.CE, message="it is empty"), "It is empty."),
        (
            SubmissionResult(name="a", verdict=Verdict.CE, compile=CompileResult(ok=False, exit_code=1)),
            "Your program could not be compiled (exit code 1). What the compiler says is below.",
        ),
        (
            SubmissionResult(
                name="a", verdict=Verdict.CE, compile=CompileResult(ok=False, evidence=Evidence(limit="memory", configured=MB))
            ),
            "Your program could not be compiled: the compiler was stopped by the memory limit of 1 MB.",
        ),
        (SubmissionResult(name="a", verdict=Verdict.AC, tests=(test_of(Verdict.AC),)), "All tests passed."),
        (
            SubmissionResult(name="a", verdict=Verdict.RTE, tests=(test_of(Verdict.AC), test_of(Verdict.RTE, signal=77))),
            "Test secret/1: Your program crashed with signal 77.",
        ),
        (SubmissionResult(name="a", verdict=Verdict.WA), "Wrong answer."),
    ],
)
def test_submissions_in_words(result, text):
    assert explain_submission(result) == text


@given(st.text())
def test_nothing_harmful_is_left(text):
    shown = words.block(text)
    shown.encode()  # no lone surrogates
    kinds = {unicodedata.category(character) for character in shown if character not in "\n\t"}
    assert kinds & {"Cc", "Cs", "Zl", "Zp"} == set()
    assert not set(shown) & set("\u202e\u2066\u200f\u061c\ufeff")
    assert "\n" not in words.line(text)
    assert "\t" not in words.line(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]), max_size=50))
def test_harmless_text_is_left_alone(text):
    assert words.block(text) == words.line(text) == text


@pytest.mark.parametrize("shortened", [words.short, words.cut])
@given(text=st.text(), most=st.integers(4, 60))
def test_short_is_short(shortened, text, most):
    shown = shortened(text, most)
    assert len(shown) <= most
    assert shown == words.line(text) or "…" in shown


@pytest.mark.parametrize(("value", "text"), [(0, "0 ms"), (0.0042, "4 ms"), (0.9996, "1.00 s"), (1.204, "1.20 s")])
def test_brief_times(value, text):
    assert words.brief(value) == text


FULL = SubmissionResult(
    name="a",
    verdict=Verdict.WA,
    tests=tuple(
        TestResult(
            name=f"{kind}/1",
            kind=kind,
            verdict=Verdict.WA,
            exit_code=65,
            evidence=Evidence(limit="system calls", measured=65, source="denied: socket x65"),
            cpu_s=0.5,
            message="for judges",
            team_message="for teams",
            output=Excerpt(text="out", total_bytes=3),
            error_output=Excerpt(text="err", total_bytes=3),
        )
        for kind in ("sample", "secret")
    ),
)


def test_all_is_shown():
    assert redact_submission(FULL, "all") == FULL


def test_sample_leaves_nothing_of_secret_tests():
    shown = redact_submission(FULL, "sample")
    assert shown.tests == (replace(FULL.tests[0], message=""),)
    assert shown.verdict == Verdict.WA


def test_verdict_leaves_no_texts_of_secret_tests():
    sample, secret = redact_submission(FULL, "verdict").tests
    assert sample == replace(FULL.tests[0], message="")
    assert secret == TestResult(name="secret/1", verdict=Verdict.WA, cpu_s=0.5, evidence=Evidence(limit="system calls"))


@pytest.mark.parametrize(("number", "left"), [(11, 11), (8, 8), (6, 6), (10, None), (40, None)])
def test_verdict_leaves_the_signal_of_a_crash_alone(number, left):
    test = TestResult(name="secret/1", verdict=Verdict.RTE, signal=number)
    (shown,) = redact_submission(SubmissionResult(name="a", verdict=Verdict.RTE, tests=(test,)), "verdict").tests
    assert shown.signal == left
    assert explain(shown)
