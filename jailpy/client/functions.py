"""A function as a jail can find it: the module and name that it goes by, and the files to show for that."""

from __future__ import annotations

import os
import sys

from jailpy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import types

PLACE = "/jailpy"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


class Sources:
    """Files of modules that a jail is to import: what to show, as options `ro`, and the folders for its sys.path.

    `visible` are the folders that the jail shows anyway.
    """

    def __init__(self, visible: tuple[str, ...]) -> None:
        self.ro: list[str] = []
        self.folders: list[str] = []
        self._visible = (*_SYSTEM, *visible)

    def add(self, module: str) -> None:
        """Add the top-level module or package that a module belongs to. Raises TypeError where it is in no file."""
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names:
            return
        for path in _files(top):
            if not os.path.exists(path):
                raise TypeError(f"module {top}: it comes from no file or folder that a jail could be shown")
            self.show(path)

    def show(self, path: str) -> str:
        """Add one file or folder; return where the jail has it."""
        path = os.path.abspath(path)
        folder = os.path.dirname(path)
        if not any(path.startswith(place + "/") for place in self._visible):
            folder = f"{PLACE}/{len(self.ro)}"
            self.ro.append(f"{os.path.realpath(path)}:{folder}/{os.path.basename(path)}")
        if folder not in self.folders:
            self.folders.append(folder)
        return f"{folder}/{os.path.basename(path)}"


def _files(module: str) -> list[str]:
    """Return the file of a top-level module, or the folders of a package; a program's own module may not be imported yet."""
    found = sys.modules.get(module)
    if found is None:
        import importlib.util

        spec = importlib.util.find_spec(module)
        return [*(spec.submodule_search_locations or [spec.origin or ""])] if spec else [""]
    return list(getattr(found, "__path__", ())) or [getattr(found, "__file__", None) or ""]


class Callee:
    """A function by module and name. `script` is the path of the program, for a function of `__main__`, else "".

    Raises TypeError for what cannot be found by a name: lambdas, local functions, methods of objects, partials.
    """

    def __init__(self, function: object) -> None:
        name = getattr(function, "__qualname__", None)
        module = getattr(function, "__module__", None)
        if not callable(function) or not name or not module or "<" in name:
            shown = name if isinstance(name, str) else repr(function)
            raise TypeError(f"{shown}: only a function that a module holds under its name can be called in a jail")
        if _named(module, name) is not function:
            raise TypeError(f"{module}.{name}: is not what the module holds under that name: a method, or decorated")
        self.module, self.name, self.script = module, name, ""
        if module == "__main__":
            self.module, self.script = _main()


def _named(module: str, name: str) -> object:
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _main() -> tuple[str, str]:
    """Return the name that the program's module is imported by, or its file's name and path."""
    main: types.ModuleType = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return spec.name, ""
    path = getattr(main, "__file__", None)
    if not path or not os.path.isfile(path):
        raise TypeError("the function is of __main__, which is no file: put it into a module")
    return os.path.splitext(os.path.basename(path))[0], os.path.abspath(path)


def imported(names: tuple[str, ...]) -> None:
    """Import modules that are to be shown, to learn where they are. Raises UsageError."""
    import importlib

    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(f"option modules: {name}: {error}") from error
