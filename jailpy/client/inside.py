"""Runs in the jail, as the payload of JailExecutor: takes a call, makes it, answers. Imports nothing of JailPy.

The call comes on standard input, the answer goes to a descriptor of its own: both are JSON. argv[1] is that descriptor.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

_LONGEST_TEXT = 10_000
_LONGEST_TRACEBACK = 50_000
_PLAIN = (str, int, float, bool, type(None))


def check(value: object) -> None:
    """See that JSON can hold a value and gives the same back, but for tuples, which become lists. Raises TypeError."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a key of type {type(key).__name__}: JSON has texts as keys only")
            check(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            check(entry)
    elif type(value) not in _PLAIN:
        raise TypeError(f"a value of type {type(value).__name__}: JSON has dict, list, str, int, float, bool and None")


def _load(module: str, path: str) -> ModuleType:
    """Import a module by name, or a script by its path, under a name that is not __main__."""
    if not path:
        return importlib.import_module(module)
    spec = importlib.util.spec_from_file_location(module, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded: its name does not end in .py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[module] = found
    spec.loader.exec_module(found)
    return found


def _function(call: dict[str, Any]) -> Callable[..., object]:
    sys.path[:0] = call["folders"]
    found: Any = _load(call["module"], call["path"])
    for name in call["name"].split("."):
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]


def _result(call: dict[str, Any]) -> str:
    result = _function(call)(*call["args"], **call["kwargs"])
    try:
        check(result)
        return json.dumps({"result": result})
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"the result is no JSON: {error}") from None


def _failure(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - whatever the function's own exception does
        text = "its text cannot be had"
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    lines = "".join(traceback.format_exception(kind, error, trace))
    return json.dumps({"error": {"type": name, "text": text[:_LONGEST_TEXT], "traceback": lines[-_LONGEST_TRACEBACK:]}})


def _write(number: int, text: str) -> None:
    left = text.encode()
    while left:
        left = left[os.write(number, left) :]
    os.close(number)


def main() -> int:
    """Make the call; return the exit status."""
    given = int(sys.argv[1])
    number = os.dup(given)  # close-on-exec: a program that the function leaves behind does not hold the answer up
    os.close(given)
    try:
        text, status = _result(json.load(sys.stdin.buffer)), 0
    except BaseException as error:  # noqa: BLE001 - it crosses as text
        text, status = _failure(error), 1
    _write(number, text)
    return status


if __name__ == "__main__":
    sys.exit(main())
