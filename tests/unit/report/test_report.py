"""Reports and endings in words, from made-up outcomes."""

from __future__ import annotations

import json

import pytest

from jailpy import api
from jailpy.errors import HostError, InternalError, LaunchError
from jailpy.report import words
from jailpy.report.record import not_started, record
from jailpy.supervisor.outcome import Evidence, Outcome, Usage

KEYS = {
    "schema", "jailpy", "profile", "command", "verdict", "exit_code", "signal", "evidence", "usage", "layers", "violations",
    "loosened", "started_at",
}  # fmt: skip


@pytest.fixture(scope="module")
def plan():
    return api.plan(api.Request(argv=("true",), excused=("cgroup", "landlock", "seccomp")))


def outcome(verdict="ok", **fields):
    return Outcome(
        **{"verdict": verdict, "exit_code": 0, "signal": None, "evidence": None, "usage": Usage(wall_s=0.5), **fields}
    )


def make(plan, ended, verified=None, **more):
    return json.loads(json.dumps(record(plan, ("true", "\udcff"), ended, verified or {}, "2026-01-01T00:00:00Z", [], **more)))


def test_the_keys_of_the_contract(plan):
    report = make(plan, outcome(), {"user": "seen"})
    assert set(report) >= KEYS
    assert report["command"] == ["true", "\\xff"]
    assert report["profile"] == {"name": "strict", "digest": plan.profile.digest}
    assert report["allowed_missing"] == ["cgroup", "landlock", "seccomp"]


def test_only_what_was_seen_is_enforced(plan):
    """A layer that was planned and not verified must not be told as if it held."""
    report = make(plan, outcome(), {"user": "uid_map 1 2 1"})
    states = {layer["name"]: (layer["state"], layer["verified"]) for layer in report["layers"]}
    assert states["user"] == ("enforced", "uid_map 1 2 1")
    assert states["mount"] == states["capabilities"] == ("absent", None)


@pytest.mark.parametrize(("error", "verdict"), [
    (HostError("cgroup: missing", [], ["do this"]), "not_started"),
    (LaunchError("mount: could not", layer="mount", step="x", errno=1, hints=["do this"]), "not_started"),
    (InternalError("broken", ["do this"]), "not_started"),
    (ZeroDivisionError("division"), "internal_error"),
])  # fmt: skip
def test_a_run_that_never_was(plan, error, verdict):
    ended = not_started(error)
    report = make(None, ended, asked="mine\udcff")
    assert set(report) >= KEYS
    assert (report["verdict"], report["exit_code"], report["signal"], report["evidence"]) == (verdict, None, None, None)
    assert report["profile"] == {"name": "mine\\xff", "digest": None}
    assert report["layers"] == []
    assert report["notes"]
    assert ended.exit_status() == 125
    assert all(layer["verified"] is None for layer in make(plan, ended)["layers"])


@pytest.mark.parametrize(("verdict", "evidence", "text"), [
    ("memory_limit", Evidence("memory", 64 << 20, 64 << 20, "memory.events oom_kill=1"), "limit 64M, measured 64M (memory.events oom_kill=1)"),
    ("wall_limit", Evidence("wall", 2.0, 2.004, "CLOCK_MONOTONIC"), "limit 2.00 s, measured 2.00 s (CLOCK_MONOTONIC)"),
    ("process_limit", Evidence("processes", 32, 32, "pids.events max=3"), "limit 32, measured 32 (pids.events max=3)"),
    ("file_size_limit", Evidence("file_size", 1 << 20, None, "SIGXFSZ"), "limit 1M, measured ? (SIGXFSZ)"),
    ("cancelled", Evidence(source="signal 15"), "signal 15"),
])  # fmt: skip
def test_an_ending_in_words(verdict, evidence, text):
    assert words.ending(outcome(verdict, evidence=evidence, exit_code=None, signal=9)) == f"{verdict}: {text}"


def test_an_ordinary_ending_needs_no_words():
    assert words.ending(outcome()) is None
    assert words.ending(outcome("nonzero_exit", exit_code=3)) is None
    assert words.ending(outcome("signaled", exit_code=None, signal=11)) == "signaled: the payload died of signal 11"
    assert words.violations(outcome()) is None


def test_violations_in_words_are_one_escaped_line():
    found = tuple({"what": f"call\x1b{n}", "count": n, "allow_with": "[seccomp]\n x"} for n in range(1, 9))
    line = words.violations(outcome(violations=found, violation_count=36))
    assert line.startswith("36 system calls denied: call\\x1b1 x1, ")
    assert line.count("call\\x1b") == 5, "the first few"
    assert ", ...; if it needs them: [seccomp]\\n x" in line
    one = words.violations(outcome(violations=found[:1], violation_count=1))
    assert one.startswith("1 system call denied: ")


def test_a_summary_without_measurements_says_so():
    assert words.summary(outcome()) == "ok: wall 0.500 s, cpu ?, memory ?, processes ?"
