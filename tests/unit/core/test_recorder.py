"""Steps noted down as system calls: the calls are those of the steps, descriptors are foreseen, surprises fail."""

import errno
import os

import pytest

from jailpy import child, kernel
from jailpy.child.recorder import Recorder, recorded
from jailpy.child.state import Child
from jailpy.kernel import files
from jailpy.steps import mounts, process


@pytest.fixture
def state():
    return Child(4, 5, (6, 7, 8), {3: 9}, [10, 11])


@pytest.fixture(autouse=True)
def tidy():
    """Close what a test was not meant to open."""
    before = descriptors()
    yield
    for number in descriptors() - before:
        os.close(number)


def descriptors():
    return {number for number in range(100) if os.path.exists(f"/proc/self/fd/{number}")}


def noted(part):
    """Return the system calls of a part as (number, wanted), Python functions by name."""
    return [(args[0] if function is kernel.call else function.__name__, wanted) for _, function, args, wanted in part]


def test_descriptors_are_the_lowest_free_ones(state):
    program = recorded([(7, mounts.TakeFolder(1, "a", 0)), (8, mounts.Attach(1, "b", "it"))], state, {0, 1, 2, 4, 5})
    number = kernel.NUMBERS["close"]
    assert noted(program.init) == [
        (kernel.NUMBERS["openat"], 3), (428, 6), (442, 0), (437, 7), (429, 0), (number, 0), (number, 0)
    ]  # fmt: skip
    assert [at for at, *_ in program.init] == [0, 7, 7, 8, 8, 8, 8]
    assert state.slots == {3: 9}
    assert (program.payload, program.afterwards) == ([], [])


def test_the_payload_starts_with_what_init_had_when_it_forked(state):
    steps = [
        (0, mounts.TakeFolder(1, "a", 0)),
        (1, process.SetStdio()),
        (2, process.HideInit()),
        (2, process.CloseOfInit()),
        (3, process.LoadFilter(b"", 1, True)),
    ]
    program = recorded(steps, state, {0, 1, 2, *range(4, 12)})
    dup, close, seccomp, prctl = (kernel.NUMBERS[name] for name in ("dup3", "close", "seccomp", "prctl"))
    assert noted(program.payload)[:3] == [(dup, 0), (dup, 1), (dup, 2)]
    assert (seccomp, 3) in noted(program.payload), "the range that SetStdio closes is free again"
    assert noted(program.payload)[-1] == (close, 0)
    closed = (files.CLOSE_RANGE, 0)
    assert noted(program.afterwards) == [(prctl, 0), ("wipe", None), (close, 0), closed, closed]


def test_nothing_is_done_while_it_is_noted(state, tmp_path):
    path = str(tmp_path / "folder")
    program = recorded([(0, mounts.MakeFolder(path)), (1, mounts.MakeFile(path + "/x", b"content"))], state, {0, 1, 2})
    assert not os.path.exists(path)
    calls = program.init[1:]
    lowest = os.dup(0)
    os.close(lowest)
    shifted = [(at, function, args, lowest if wanted == 4 else wanted) for at, function, args, wanted in calls]
    shifted = [
        (at, f, tuple(lowest if a == 4 and args[0] in (1, 3, 64, 57) else a for a in args), w) for at, f, args, w in shifted
    ]
    child.apply(shifted, [0])
    with open(path + "/x") as file:
        assert file.read() == "content"


def test_a_call_that_gives_something_else_fails():
    recorder = Recorder(set(range(500)))
    kernel.note(recorder)
    files.open_path(b"/dev/null", os.O_RDONLY)
    kernel.note(None)
    at = [0]
    with pytest.raises(OSError, match="not foreseen") as caught:
        child.apply([(7, *line[1:]) for line in recorder.part], at)
    assert (caught.value.errno, at) == (errno.ENOTRECOVERABLE, [7])


@pytest.mark.parametrize(("path", "wanted"), [(b"/nosuch", errno.ENOENT), (b"/etc/passwd/x", errno.ENOTDIR)])
def test_a_call_that_fails_fails_with_its_errno(path, wanted):
    recorder = Recorder({0, 1, 2})
    kernel.note(recorder)
    files.chdir(path)
    kernel.note(None)
    with pytest.raises(OSError) as caught:
        child.apply(recorder.part, [0])
    assert caught.value.errno == wanted


@pytest.mark.parametrize(
    ("path", "errors"), [(b"/nosuch", None), (b"/etc/passwd", errno.ENOTRECOVERABLE), (b"/etc/passwd/x", errno.ENOTDIR)]
)
def test_what_must_be_refused(path, errors):
    """With that errno, now and later; the control is what exists."""
    recorder = Recorder({0, 1, 2})
    kernel.note(recorder)
    assert files.open_path(path, os.O_RDONLY, refused=errno.ENOENT) == -1
    kernel.note(None)
    for look in (lambda: files.open_path(path, os.O_RDONLY, refused=errno.ENOENT), lambda: child.apply(recorder.part, [0])):
        if errors is None:
            look()
            continue
        with pytest.raises(OSError) as caught:
            look()
        assert caught.value.errno == errors


def test_descriptors_that_crowd_an_accounts_sockets_wait(monkeypatch):
    """ETOOMANYREFS passes: the call is made again, here the third time."""
    import ctypes

    answers = [-1, -1, 1]

    def call(*words):
        ctypes.set_errno(errno.ETOOMANYREFS)
        return answers.pop(0)

    monkeypatch.setattr(kernel, "call", call)
    monkeypatch.setattr(kernel.time, "sleep", lambda seconds: None)
    child.apply([(0, call, (46, 3, None, 0, 0, 0, 0), 1)], [0])
    assert answers == []
