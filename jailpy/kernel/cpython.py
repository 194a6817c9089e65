"""CPython's own way to run a file, and to end a process as exit(3) does. In a warm interpreter only.

See "The Very High Level Layer" of the Python/C API.
"""

from __future__ import annotations

import ctypes

from jailpy.kernel import fail, libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FILE_INPUT = 257  # Py_file_input
_fopen = libc.fopen
_fopen.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
_fopen.restype = ctypes.c_void_p
_exit = ctypes.PyDLL(None).exit  # the lock stays held: no other thread runs Python code while the process ends

# run_file(FILE *, path, Py_file_input, globals, locals, closes it, no flags): called as it is, so that no frame lies between.
run_file = ctypes.pythonapi.PyRun_FileExFlags
run_file.argtypes = (
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.py_object, ctypes.py_object, ctypes.c_int, ctypes.c_void_p,
)  # fmt: skip
run_file.restype = ctypes.py_object


def file_to_run(path: bytes, space: dict[str, Any]) -> tuple[Any, ...]:
    """Open a source file, and return what `run_file` is called with to run it in a module's dictionary. Raises OSError."""
    opened = _fopen(path, b"rb")
    if not opened:
        raise fail(path.decode(errors="backslashreplace"))
    return opened, path, _FILE_INPUT, space, space, 1, None


def leave(status: int) -> None:
    """End the process as exit(3) does: with the atexit functions and the buffers of C, without those of Python."""
    _exit(status)
