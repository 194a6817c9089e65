"""The repository's own kernel-facing tests, run by pytest in the guests: as uid 1000 in a delegated scope, and as root.

The full run takes one file after the other, each in a fresh guest; `--quick` takes suite.toml's choice in one go.
"""

from __future__ import annotations

import collections
import os
import re
import shlex
import tomllib
import xml.etree.ElementTree as ET

import pytest

from tests.vm.guests import HERE, kernel_files

with open(os.path.join(HERE, "suite.toml"), "rb") as file:
    SUITE = tomllib.load(file)
MODES = ("user", "root")
APART = "--junit--"
# A scope's own group must be empty before it can be divided: the tests, like a shell, sit in a leaf.
LEAF = """group=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
mkdir "$group/tests" && echo $$ >"$group/tests/cgroup.procs" && echo "+memory +pids +cpu" >"$group/cgroup.subtree_control"
"""
COMMAND = """cd /srv/jailpy
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 JAILPY_TEST_PATIENCE={patience}
timeout {seconds} python3 -m pytest -q -p pytest_timeout -p no:cacheprovider -o timeout=300 --tb=short --junit-xml=/tmp/junit.xml {names}
echo {apart}
cat /tmp/junit.xml
"""
FILE_S, QUICK_S = 3600, 1800


def run(guest, mode, names, seconds):
    """Run tests of the repository in a guest. Returns the outcome of each as (name, outcome, reason)."""
    words = {"patience": SUITE["patience"], "seconds": seconds, "names": shlex.join(names), "apart": APART}
    done = guest.run((LEAF if mode == "user" else "") + COMMAND.format(**words), mode=mode, timeout=seconds + 60)
    words, apart, document = done.out.partition(APART)
    assert apart, f"pytest came to no end: {done.out[-4000:]}{done.err[-2000:]}"
    assert document.strip(), f"pytest was killed after {seconds} s: {words[-4000:]}{done.err[-2000:]}"
    return [outcome(case) for case in ET.fromstring(document.strip()).iter("testcase")]


def outcome(case):
    """Read one test of a JUnit document."""
    name = f"{case.get('classname')}::{case.get('name')}"
    for bad in ("failure", "error"):
        if (found := case.find(bad)) is not None:
            return name, "failed", found.text
    skip = case.find("skipped")
    return (name, "passed", "") if skip is None else (name, "skipped", skip.get("message"))


def count(found, guest, mode, name, cases):
    """Record how many tests of a file had which outcome, and of how many files it is one."""
    counts = collections.Counter(what for _, what, _ in cases)
    found[guest.name]["files"] = len(kernel_files())
    found[guest.name][mode]["suite"][name] = {what: counts[what] for what in ("passed", "skipped", "failed")}


def judge(guest, mode, cases):
    """No failure, and no skip but for a reason that is expected of this guest."""
    expected = [*SUITE["skips"]["all"], *SUITE["skips"][mode], *SUITE["skips"].get(guest.name, [])]
    failed = [f"{name}\n{why}" for name, what, why in cases if what == "failed"]
    skipped = [f"{name}: {why}" for name, what, why in cases if what == "skipped"]
    unexpected = [one for one in skipped if not any(re.search(reason, one) for reason in expected)]
    assert not failed, "\n\n".join(failed)
    assert unexpected == []
    assert cases


@pytest.mark.full
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", kernel_files())
def test_a_file_of_tests(guest, mode, name, found):
    cases = run(guest, mode, [name], FILE_S)
    count(found, guest, mode, name, cases)
    judge(guest, mode, cases)


@pytest.mark.parametrize("mode", MODES)
def test_the_chosen_tests(guest, mode):
    """What CI runs: some for each layer, each limit, faults and leftovers, and each hostile program once."""
    cases = run(guest, mode, SUITE["quick"], QUICK_S)
    judge(guest, mode, cases)
    assert sum(what == "passed" for _, what, _ in cases) > 90


def test_a_failing_test_is_noticed(guest):
    """Control: failures and skips in a guest come through."""
    with_failure = "printf 'import pytest\\ndef test_a(): assert 0\\ndef test_b(): pytest.skip(\"moon\")\\n' >/tmp/test_c.py"
    done = guest.run(f"{with_failure}; cd /tmp; python3 -m pytest -q -p no:cacheprovider --junit-xml=x test_c.py >&2; cat x")
    cases = [outcome(case) for case in ET.fromstring(done.out.strip()).iter("testcase")]
    assert [what for _, what, _ in cases] == ["failed", "skipped"]
    with pytest.raises(AssertionError, match="assert 0"):
        judge(guest, "user", cases)
    with pytest.raises(AssertionError, match="moon"):
        judge(guest, "user", cases[1:])
