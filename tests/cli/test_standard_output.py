"""What verbs do where standard output takes nothing: one line, no traceback. A working standard output is the control."""

from __future__ import annotations

import subprocess

import pytest

VERBS = [["profile", "list"], ["profile", "show", "strict"], ["explain", "--", "id"], ["--help"], ["--version"]]


def run(jailpy, verb, redirection):
    done = subprocess.run(["sh", "-c", f'"$@" {redirection}', "sh", jailpy, *verb], capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_full_disk_is_told_in_one_line(jailpy, verb):
    status, out, err = run(jailpy, verb, "")
    assert (status, err) == (0, "")
    assert out
    assert run(jailpy, verb, ">/dev/full") == (125, b"", "jailpy: error: standard output: No space left on device\n")


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_closed_standard_output_is_no_error(jailpy, verb):
    assert run(jailpy, verb, ">&-") == (0, b"", "")


def test_a_reader_that_leaves_is_no_error(jailpy):
    _, out, err = run(jailpy, ["profile", "schema"], "| head -c 10")
    assert (len(out), err) == (10, "")
