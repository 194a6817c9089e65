"""The supervisor's parts on their own: exit statuses, evidence, counters on made-up cgroups, streams on pipes."""

from __future__ import annotations

import os

import pytest

from jailpy.launcher.cgroups import Group
from jailpy.supervisor import streams
from jailpy.supervisor.accounting import Accounting
from jailpy.supervisor.outcome import VERDICTS, Evidence, Outcome, Usage

DIED = {"exit_code": None, "signal": 9}


def outcome(verdict, **fields):
    return Outcome(**{"verdict": verdict, "exit_code": None, "signal": None, "evidence": None, "usage": Usage(), **fields})


@pytest.mark.parametrize(("verdict", "fields", "status"), [
    ("ok", {"exit_code": 0}, 0), ("nonzero_exit", {"exit_code": 3}, 3), ("signaled", {"signal": 11}, 139),
    ("wall_limit", DIED, 124), ("cpu_limit", DIED, 124), ("idle_limit", DIED, 124), ("memory_limit", DIED, 137),
    ("output_limit", DIED, 137), ("security_violation", DIED, 137), ("file_size_limit", {"signal": 25}, 153),
    ("process_limit", {"exit_code": 1}, 1), ("process_limit", {"signal": 6}, 134), ("disk_limit", {"exit_code": 2}, 2),
    ("memory_limit", {"exit_code": 5}, 5), ("internal_error", DIED, 125), ("not_started", {}, 125),
    ("cancelled", {**DIED, "cancelled_by": 2}, 130), ("cancelled", {"exit_code": 0, "cancelled_by": 15}, 143),
])  # fmt: skip
def test_exit_statuses(verdict, fields, status):
    assert outcome(verdict, **fields).exit_status() == status
    assert verdict in VERDICTS


def test_what_was_not_measured_is_null():
    report = Usage().report()
    assert {name for name, value in report.items() if value is None} >= {
        "wall_s", "cpu_s", "user_s", "system_s", "memory_peak_bytes", "processes_peak", "memory",
    }  # fmt: skip
    assert Evidence("wall", 1.0, 2.0, "clock").report() == {
        "limit": "wall",
        "configured": 1.0,
        "measured": 2.0,
        "source": "clock",
    }


class Groups:
    """The groups of a run, made up: one folder of files for each."""

    def __init__(self, *groups):
        self.groups = groups

    def folder(self, controller):
        return next(
            (group for group in self.groups if controller in group.controllers or (controller == "" and group.version == 2)),
            None,
        )


def group(path, version, controllers, **files):
    path.mkdir()
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return Group(path=str(path), controllers=controllers, version=version)


def test_counters_of_version_2(tmp_path):
    stat = {"cpu__stat": "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n"}
    made = group(tmp_path / "g", 2, ("memory", "pids", "cpu"), **stat, memory__peak="4096\n", pids__peak="4\n",
                 memory__events="low 0\nmax 7\noom 1\noom_kill 2\n", pids__events="max 3\n",
                 memory__stat="anon 10\nfile 20\nshmem 30\nkernel 40\nslab 50\n")  # fmt: skip
    accounting = Accounting(Groups(made))
    assert accounting.cpu() == (1.5, 1.0, 0.5)
    accounting.start()
    assert accounting.cpu() == (0.0, 0.0, 0.0), "what was used before the payload does not count"
    assert accounting.oom_kills() == (0, "memory.events")
    (tmp_path / "g" / "cpu.stat").write_text("usage_usec 1750000\nuser_usec 1200000\nsystem_usec 550000\n")
    (tmp_path / "g" / "memory.events").write_text("max 9\noom_kill 5\n")
    assert accounting.cpu() == (0.25, 0.2, 0.05)
    assert accounting.oom_kills() == (3, "memory.events")
    assert accounting.cpu_since_made() == 1.75
    assert accounting.memory_peak() == (4096, "cgroup2 memory.peak")
    assert accounting.memory_breakdown() == {"anon": 10, "file": 20, "shmem": 30, "kernel": 40}
    assert (accounting.memory_refusals(), accounting.process_refusals()) == (9, 3)
    assert accounting.processes_peak() == (3, "cgroup2 pids.peak")
    assert accounting.oom_event_files() is None
    accounting.distrust()
    assert (accounting.cpu(), accounting.memory_peak(), accounting.processes_peak()) == (None, (None, ""), (None, ""))
    assert (accounting.memory_breakdown(), accounting.io_bytes()) == ({}, None)


def test_a_group_that_is_gone_measures_nothing_and_kills_nobody(tmp_path):
    made = group(tmp_path / "g", 2, ("memory", "pids", "cpu", "io"), memory__events="oom_kill 2\n")
    accounting = Accounting(Groups(made))
    accounting.start()
    (tmp_path / "g" / "memory.events").unlink()
    assert accounting.oom_kills()[0] == 0, "never less than none"
    assert (accounting.cpu(), accounting.memory_peak()[0], accounting.io_bytes()) == (None, None, None)


def test_counters_of_version_1(tmp_path):
    memory = group(tmp_path / "m", 1, ("memory",), memory__max_usage_in_bytes="8192\n", memory__failcnt="4\n",
                   memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", memory__stat="rss 1\ncache 2\n")  # fmt: skip
    pids = group(tmp_path / "p", 1, ("pids",), pids__events="max 2\n")
    cpu = group(tmp_path / "c", 1, ("cpuacct",), cpuacct__usage="3000000000\n", cpuacct__usage_user="2000000000\n",
                cpuacct__usage_sys="1000000000\n")  # fmt: skip
    accounting = Accounting(Groups(memory, pids, cpu))
    assert accounting.cpu() == (3.0, 2.0, 1.0)
    assert accounting.cpu_source() == "cgroup1 cpuacct.usage"
    assert accounting.memory_peak() == (8192, "cgroup1 memory.max_usage_in_bytes")
    assert accounting.memory_breakdown() == {"anon": 1, "file": 2}
    assert accounting.oom_kills() == (1, "memory.oom_control")
    assert (accounting.memory_refusals(), accounting.process_refusals()) == (4, 2)
    assert accounting.processes_peak() == (None, ""), "no pids.peak before Linux 6.6: not measured, not 0"
    assert accounting.oom_event_files() == (f"{tmp_path}/m/memory.oom_control", f"{tmp_path}/m/cgroup.event_control")


def test_without_cgroups_nothing_is_measured():
    accounting = Accounting(Groups())
    accounting.start()
    assert (accounting.cpu(), accounting.memory_peak(), accounting.processes_peak()) == (None, (None, ""), (None, ""))
    assert (accounting.oom_kills()[0], accounting.process_refusals(), accounting.memory_breakdown()) == (0, 0, {})


@pytest.fixture
def pipes():
    made = []

    def pipe():
        made.extend(os.pipe())
        return made[-2:]

    yield pipe
    for number in made:
        try:
            os.close(number)
        except OSError:
            continue  # closed by what is tested


def pump(output, limit):
    while output.step(limit - output.count):
        assert output.count <= limit + 1
        if output.count > limit:
            break


@pytest.mark.parametrize("escape", [False, True])
def test_output_takes_what_is_allowed_and_notices_one_more(pipes, tmp_path, escape):
    source, writer = pipes()
    os.write(writer, b"x" * 5000)
    os.close(writer)
    with open(tmp_path / "out", "wb") as target:
        output = streams.Output(source, target.fileno(), escape)
        pump(output, 3000)
        assert output.count == 3001
        output.close()
        output.close()
    assert (tmp_path / "out").read_bytes() == b"x" * 3000


def test_output_escapes_only_where_asked(pipes, tmp_path):
    for escape, wanted in ((False, b"a\x1bb\xc3"), (True, b"a\\x1bb\\xc3")):
        source, writer = pipes()
        os.write(writer, b"a\x1bb\xc3")
        os.close(writer)
        with open(tmp_path / "out", "wb") as target:
            output = streams.Output(source, target.fileno(), escape)
            pump(output, 100)
            output.close()
        assert (tmp_path / "out").read_bytes() == wanted


@pytest.mark.parametrize(("path", "failed"), [("/dev/full", True), ("/dev/null", False)])
def test_output_keeps_the_error_of_its_target(pipes, path, failed):
    source, writer = pipes()
    os.write(writer, b"x")
    os.close(writer)
    target = os.open(path, os.O_WRONLY)
    output = streams.Output(source, target, escape=False)
    pump(output, 100)
    os.close(target)
    assert (output.error is not None) == failed
    output.close()


def test_a_reader_that_is_gone_is_no_error(pipes):
    source, writer = pipes()
    reader, target = pipes()
    os.close(reader)
    os.write(writer, b"x")
    output = streams.Output(source, target, escape=False)
    pump(output, 100)
    assert (output.error, output.source) == (None, -1)


def test_drain_empties_every_output_and_stops_when_told(pipes, tmp_path):
    with open(tmp_path / "out", "wb") as target:
        outputs = []
        for _ in range(2):
            source, writer = pipes()
            os.write(writer, b"y" * 60_000)
            os.close(writer)
            outputs.append(streams.Output(source, target.fileno(), escape=False))

        def pass_on(output):
            if not output.step(1 << 30):
                output.close()

        streams.drain(outputs, pass_on, lambda: False)
        assert [output.count for output in outputs] == [60_000, 60_000]
    assert (tmp_path / "out").stat().st_size == 120_000
    source, writer = pipes()
    waiting = streams.Output(source, writer, escape=False)
    streams.drain([waiting], pass_on, lambda: True)
    assert waiting.count == 0
    waiting.close()


@pytest.mark.parametrize("escape", [False, True])
def test_drain_waits_for_no_end_of_file(pipes, tmp_path, escape):
    """The payload is dead, and its end of the pipe may be open all the same, on its way in a socket."""
    source, writer = pipes()
    os.write(writer, b"y" * 60_000 + b"\xe2\x82")  # begins a character
    with open(tmp_path / "out", "wb") as target:
        output = streams.Output(source, target.fileno(), escape=escape)

        def pass_on(output):
            if not output.step(1 << 30):
                output.close()

        assert output.step(1 << 30)
        rounds = iter(range(1000))
        streams.drain([output], pass_on, lambda: next(rounds) > 100)
    assert (output.count, output.source) == (60_002, -1)
    assert (tmp_path / "out").read_bytes()[60_000:] == (b"\\xe2\\x82" if escape else b"\xe2\x82")
