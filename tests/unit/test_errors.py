"""What a launcher has too little of, told from the errors that the interpreter raises."""

import errno

import pytest

from jailpy.errors import shortage

SEGMENT = "libseccomp.so.2: failed to map segment from shared object"


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (MemoryError(), errno.ENOMEM),
        (OSError(errno.ENOMEM, "x"), errno.ENOMEM),
        (OSError(errno.EMFILE, "x"), errno.EMFILE),
        (OSError(errno.ENFILE, "x"), errno.ENFILE),
        (OSError(SEGMENT), errno.ENOMEM),
        (ImportError(SEGMENT), errno.ENOMEM),
        (SystemError("error return without exception set"), errno.ENOMEM),
    ],
)
def test_what_is_short_is_named(error, number):
    found = shortage(error)
    assert (found.errno, found.exit_status) == (number, 125)
    assert "raise" in found.hints[0]


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "x"), ImportError("no module"), SystemError("x"), ValueError(SEGMENT)])
def test_other_errors_are_no_shortage(error):
    assert shortage(error) is None


def test_a_current_folder_that_is_gone_is_named(tmp_path, monkeypatch):
    error = FileNotFoundError(errno.ENOENT, "x")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    assert shortage(error) is None
    gone.rmdir()
    assert shortage(error).message == "the current folder: No such file or directory"
    assert shortage(OSError(errno.EACCES, "x")) is None
