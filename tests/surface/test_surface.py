"""The page says what the filters do, and live jails do what the page says."""

from __future__ import annotations

import errno
import json
import os
import subprocess

import pytest

import jailpy
from jailpy.layers import seccomp_filter, syscall_table
from tests.core import PYTHON
from tests.surface import __main__ as generator
from tests.surface import surface
from tests.unit.seccomp import bpf
from tests.unit.seccomp.test_filter import expected, matching

ROOT = os.path.dirname(os.path.dirname(surface.HERE))
MACHINE = os.uname().machine
UNFILTERED = {"x86_64": {335: ("ended",), 336: ("ENXIO", "EPROTO")}}  # uretprobe, uprobe: the page says why
LIVE = ("strict", "grade", "build", "plugin", "observe")  # the others need a host that refuses namespaces
DENIED = ("EPERM", "ENOSYS")
NOT_OFFERED = ("EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ENOSPC", "EUSERS")

# Makes calls, each in a child of its own, and prints [[name, "ok" or errno]].
CALLER = r"""
import ctypes, errno, json, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, args):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(arg) for arg in args))
        os.write(writer, (str(errno.errorcode.get(ctypes.get_errno(), "?")) if result == -1 else "ok").encode() + b" ")
        os._exit(0)
    os.close(writer)
    seen = os.read(reader, 100)
    os.close(reader)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    return seen.decode().split(" ")[0] or "ended"
print(json.dumps([[name, call(number, args)] for name, number, args in json.loads(sys.argv[1])]))
"""


@pytest.fixture(scope="module")
def launcher():
    with jailpy.Launcher() as found:
        yield found


def test_the_page_is_up_to_date():
    with open(f"{ROOT}/docs/reference/kernel-surface.md", encoding="utf-8") as file:
        assert file.read() == generator.page(), "run: python -m tests.surface > docs/reference/kernel-surface.md"


def test_every_exploit_has_a_gate():
    rows = surface.submissions()
    assert len(rows) == 100
    assert {row["gate"] for row in rows} == set(surface.GATES["gates"])


def test_strict_closes_all_gates_but_those_that_say_why():
    strict = surface.profiles()[0]
    assert strict.name == "strict"
    left = {gate for gate, found in surface.GATES["gates"].items() if not surface.closed(strict, gate)}
    assert left == {gate for gate, found in surface.GATES["gates"].items() if "open" in found}


def asked(calls):
    """Return the calls of gates with the numbers of this machine."""
    table = syscall_table.load()
    found = []
    for text in calls:
        name, args = surface.parsed(text)
        number = table.number(name, MACHINE)
        if number >= 0:
            found.append([text, number, [*args, *[-1 if name == "clone3" else 0] * 6][:6]])
    return json.dumps(found)


CALLS = sorted({call for found in surface.GATES["gates"].values() for way in found["ways"] for call in way})


def met_outside(**options):
    done = subprocess.run([PYTHON, "-I", "-c", CALLER, asked(CALLS)], capture_output=True, check=True, **options)
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def outside():
    """What the calls meet outside of any jail."""
    return met_outside()


@pytest.fixture(scope="module")
def offered(outside):
    """The calls that the kernel has for an ordinary user, which every payload is (root may have bpf(2) for itself)."""
    met = outside if os.geteuid() else met_outside(user=65534, group=65534, extra_groups=[])
    return {call for call, word in met.items() if word not in (*DENIED, *NOT_OFFERED)}


@pytest.mark.parametrize("name", LIVE)
def test_gates_in_the_live_jail(launcher, outside, offered, name):
    """Each way is tried; the control is that the same call gets through to the kernel outside."""
    tool = next(profile for profile in surface.profiles() if profile.name == name)
    done = launcher.run([PYTHON, "-I", "-c", CALLER, asked(CALLS)], profile=name, text=True, wall="30s")
    met = dict(json.loads(done.stdout))
    assert {"socket:1,1,0", "socketpair:1,1,0", "socket:2,1,0", "clone:0x10000011"} <= offered, outside
    for gate, found in surface.GATES["gates"].items():
        ways = [way for way in found["ways"] if all(call in met for call in way)]
        if "layer" in found:  # the kernel looks at the layer last: only a call that works outside tells
            ways = [way for way in ways if all(outside[call] == "ok" for call in way)]
        shut = all(any(met[call] in (*DENIED, "ENOSPC") for call in way) for way in ways)
        if set().union(*ways) & offered or surface.closed(tool, gate):
            assert shut == surface.closed(tool, gate), (
                gate,
                {call: (met[call], outside[call]) for way in ways for call in way},
            )


def answered(code):
    return errno.errorcode[code] if code else "ok"


@pytest.mark.parametrize("first", range(0, 1024, 128))
def test_every_number_lands_where_the_policy_says(launcher, first):
    """With arguments that are all -1: harmless, and wrong for whatever a call wants."""
    policy = seccomp_filter.policy(["@default"], [], arch=MACHINE, rw=False)
    every = [0xFFFFFFFFFFFFFFFF] * 6
    wanted = {number: expected(policy, number, every) for number in range(first, first + 128)}
    words = json.dumps([[number, number, [-1] * 6] for number in wanted])
    done = launcher.run([PYTHON, "-I", "-c", CALLER, words], text=True, wall="30s", cpu="20s")
    assert done.verdict == "ok", done.stderr
    met = {int(number): word for number, word in json.loads(done.stdout)}
    names = syscall_table.load().names(MACHINE)
    denied = {names[number] for number, answer in wanted.items() if answer == bpf.NOTIFY}
    fixed = {number: answer & 0xFFFF for number, answer in wanted.items() if answer & 0xFFFF0000 == bpf.ERRNO}
    assert {violation["what"] for violation in done.violations} == denied
    assert done.report()["violation_count"] == len(denied)
    wrong = {number: met[number] for number, code in fixed.items() if met[number] != answered(code)}
    past = UNFILTERED.get(MACHINE, {})
    assert {number: word for number, word in wrong.items() if word not in past.get(number, ())} == {}
    assert {met[number] for number, answer in wanted.items() if answer == bpf.NOTIFY} <= {"EPERM"}
    if first == 0:
        reached = [met[number] for number, answer in wanted.items() if answer == bpf.ALLOW]
        assert len(set(reached) - {*DENIED}) > 5, "control: allowed ones reach the kernel"


LOOK = """
import json, os, stat
found = []
null = os.stat("/dev/null").st_rdev
for name in os.listdir("/proc"):
    path = "/proc/" + name
    try:
        if stat.S_ISCHR(os.stat(path).st_mode) and os.stat(path).st_rdev == null:
            continue
        if os.listdir(path) if os.path.isdir(path) else os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 1):
            found.append(name)
    except OSError:
        continue
print(json.dumps([name for name in found if not name.isdigit()]))
"""


def test_what_is_left_of_proc(launcher):
    done = launcher.run([PYTHON, "-I", "-c", LOOK], text=True, check=True)
    outside = subprocess.run([PYTHON, "-I", "-c", LOOK], capture_output=True, check=True)
    assert set(json.loads(done.stdout)) <= set(surface.profiles()[0].proc())
    assert len(json.loads(outside.stdout)) > len(json.loads(done.stdout)), "control: outside there is more"


def test_requests_that_are_not_listed_are_refused(launcher):
    strict = surface.profiles()[0]
    number = syscall_table.load().number("ioctl", MACHINE)
    others = [
        request ^ 1 << bit for request in strict.requests() for bit in (0, 8, 31) if request ^ 1 << bit not in strict.requests()
    ]
    words = json.dumps([[request, number, [-1, request, 0, 0, 0, 0]] for request in [*strict.requests(), *others]])
    done = launcher.run([PYTHON, "-I", "-c", CALLER, words], text=True, wall="30s", check=True)
    met = dict(json.loads(done.stdout))
    assert {met[request] for request in strict.requests()} == {"EBADF"}
    assert {met[request] for request in others} == {"EPERM"}


def test_the_figures_of_other_documents_are_those_of_the_page():
    strict = surface.profiles()[0]
    words = [strict.word(call) for call in surface.calls()]
    reached = f"{len(words) - words.count('')} of {len(words)} system calls"
    shut, of = surface.share(strict)
    told = {name: open_text(name) for name in ("SECURITY.md", "docs/explanation/threat-model.md")}
    assert all(reached in text for text in told.values())
    assert f"Of {of} public exploits, {shut} had what they need closed" in told["SECURITY.md"]
    assert f"{reached}, {words.count('some')} of them" in told["docs/explanation/threat-model.md"]
    assert f"{len(strict.requests())} ioctl requests" in told["docs/explanation/threat-model.md"]
    assert f"{of - shut} of {of} public exploits" in told["docs/explanation/threat-model.md"]


def open_text(name):
    with open(f"{ROOT}/{name}", encoding="utf-8") as file:
        return file.read()


def argument_calls(policy):
    """Return calls that fit each condition of a policy, and calls that miss it by one bit; all else is -1."""
    found = []
    for decision in policy.decisions:
        for tests in decision.alternatives:
            fitting = matching(tests, 0xFFFFFFFFFFFFFFFF)
            altered = [
                [arg ^ (mask & -mask) if at == argument else arg for at, arg in enumerate(fitting)]
                for argument, mask, _ in tests
            ]
            found += [(decision.name, decision.number, args) for args in ([fitting, *altered] if tests else [])]
    return found


@pytest.mark.parametrize("part", range(4))
def test_every_condition_is_met_and_missed_in_the_live_jail(launcher, part):
    policy = seccomp_filter.policy(["@default"], [], arch=MACHINE, rw=False)
    calls = argument_calls(policy)[part::4]
    assert len(calls) > 60
    signed = [
        [at, number, [arg - (1 << 64) if arg >> 63 else arg for arg in args]] for at, (_, number, args) in enumerate(calls)
    ]
    done = launcher.run([PYTHON, "-I", "-c", CALLER, json.dumps(signed)], text=True, wall="30s", cpu="20s")
    assert done.verdict == "ok", done.stderr
    met = dict(json.loads(done.stdout))
    wanted = [expected(policy, number, args) for _, number, args in calls]
    denied = [at for at, answer in enumerate(wanted) if answer == bpf.NOTIFY]
    assert {met[at] for at in denied} == {"EPERM"}
    assert done.report()["violation_count"] == len(denied), "exactly these were denied"
    assert {violation["what"] for violation in done.violations} == {calls[at][0] for at in denied}
    fixed = {at: answered(answer & 0xFFFF) for at, answer in enumerate(wanted) if answer & 0xFFFF0000 == bpf.ERRNO}
    assert {at: met[at] for at in fixed} == fixed
    assert {met[at] for at, answer in enumerate(wanted) if answer == bpf.ALLOW} & {"EBADF", "EFAULT", "EINVAL", "ok"}, "control"
