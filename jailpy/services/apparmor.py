"""AppArmor profiles of JailPy's own: make their text, install, remove and list them. Parent side.

A file is never half there: it is checked by the parser beside its place, moved there, loaded, and the kernel is asked
whether it enforces it. Where any of this fails, what was there before is there again.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys

from jailpy.errors import HostError, ProfileError
from jailpy.host import apparmor, surroundings
from jailpy.kernel import files
from jailpy.layers.apparmor_rules import Dialect, profile_text
from jailpy.profile.load import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_FEATURES = "/sys/kernel/security/apparmor/features"
_ABIS = ("4.0", "3.0")  # those that a profile of ours was tried with, newest first
# What a kernel may not mediate yet, with the files of its features any of which says that it does.
_MEDIATED = (
    ("user namespaces", ("namespaces/mask",)),
    ("io_uring", ("io_uring/mask",)),
    ("POSIX message queues", ("ipc/posix_mqueue",)),
    ("names of Unix sockets", ("network/af_unix", "network_v9/af_unix")),
)
_PACKAGE = "install the package apparmor of this distribution"


def text_for(profile: str) -> tuple[str, str]:
    """Return the name and the text of the AppArmor profile of a JailPy profile. Raises ProfileError."""
    found = load(profile, ())
    return apparmor.PREFIX + found.name, profile_text(found, dialect(), unmediated())


def launcher_text() -> str:
    """Return the text of the profile that grants user namespaces to the start script. Raises HostError."""
    return "\n".join((*apparmor.launcher_profile(start_script()), ""))


def start_script() -> str:
    """Return the path of the start script `jailpy`, also where this was started as `python -m jailpy`. Raises HostError."""
    found = surroundings.start_script()
    if not found:
        hints = ["install JailPy by pip, and start bin/jailpy: a profile for the interpreter fits every Python program"]
        raise HostError("apparmor: there is no start script that a profile could name", hints=hints)
    return found


def dialect() -> Dialect:
    """Return the newest ABI that is installed here; 3.0 without what is optional in it where none is."""
    for abi in _ABIS:
        features = surroundings.text(f"{apparmor.FOLDER}/abi/{abi}")
        if features:
            return Dialect(abi, features)
    return Dialect(_ABIS[-1], "")


def unmediated() -> tuple[str, ...]:
    """Return what the running kernel does not mediate, in words. See its securityfs."""
    if not surroundings.exists(_FEATURES):
        return ("anything: AppArmor is off here",)
    return tuple(what for what, names in _MEDIATED if not any(surroundings.exists(f"{_FEATURES}/{name}") for name in names))


def install(profiles: Iterable[str], launcher: bool) -> list[str]:
    """Write, check and load profiles; return their names. Raises HostError, ProfileError."""
    _need_root("install")
    texts = [text_for(profile) for profile in profiles]
    if launcher:
        texts.append((apparmor.LAUNCHER, launcher_text()))
    if not apparmor.enabled():
        hints = ["boot with apparmor in the lsm= list; SELinux hosts have another layer in its place"]
        raise HostError("apparmor: this kernel runs without AppArmor", hints=hints)
    parser = _parser()
    for name, text in texts:
        _install_one(parser, name, text)
    return [name for name, _ in texts]


def _need_root(verb: str) -> None:
    if os.geteuid() != 0:
        hints = [f"sudo {_start_words()} apparmor {verb} ..."]
        raise HostError(f"apparmor {verb}: only root may change the system's profiles", hints=hints)


def _start_words() -> str:
    """Return how JailPy is started by another account."""
    return surroundings.start_script() or f"{sys.executable} -m jailpy"


def _parser() -> str:
    found = shutil.which("apparmor_parser", path=f"{os.environ.get('PATH', '')}:{_SBIN}")
    if not found:
        raise HostError("apparmor: apparmor_parser is not installed", hints=[_PACKAGE])
    return found


def _install_one(parser: str, name: str, text: str) -> None:
    path = apparmor.file_of(name)
    before = _own(path)
    aside = f"{apparmor.FOLDER}/.{name}.new"
    _write(aside, text)
    try:
        _parse(parser, "check", "--skip-kernel-load", "--skip-cache", aside)
        os.rename(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    try:
        _parse(parser, "load", "--replace", "--skip-cache", path)
        _expect_enforced(name)
    except BaseException:
        _restore(parser, name, before)
        raise
    _sync_folder()


def _own(path: str) -> str | None:
    """Return the text of a file of ours, None where there is none. Raises HostError for another's."""
    if not os.path.lexists(path):
        return None
    regular = stat.S_ISREG(os.lstat(path).st_mode)
    text = files.read(path) if regular else ""
    if not text.startswith(apparmor.MARK):
        raise _foreign(path)
    return text


def _foreign(path: str) -> HostError:
    hints = [f"move {path} away, or rename the profile"]
    return HostError(f"apparmor: {path} was not written by JailPy and is left alone", hints=hints)


def _write(path: str, text: str) -> None:
    """Write a file anew and to the disk. Raises HostError; nothing is left then."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        _unlink(path)
        raise HostError(f"apparmor: {path}: {error.strerror}", hints=_write_hints(error)) from error


def _write_hints(error: OSError) -> list[str]:
    return [_PACKAGE] if error.errno == errno.ENOENT else []


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _sync_folder() -> None:
    descriptor = os.open(apparmor.FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse(parser: str, what: str, *arguments: str) -> None:
    """Run the parser. Raises HostError with its own words."""
    command = [parser, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        said = "; ".join((done.stderr + done.stdout).split("\n")).strip("; ") or f"exit status {done.returncode}"
        raise HostError(f"apparmor: apparmor_parser could not {what} {arguments[-1]}: {said}")


def mode_of(name: str) -> str:
    """Return the mode of a loaded profile, "" where it is not loaded."""
    return next((found.mode for found in apparmor.loaded() if found.name == name), "")


def _expect_enforced(name: str) -> None:
    """See in the kernel that a profile is there, in the mode that its text asks for. Raises HostError."""
    found, wanted = mode_of(name), ("unconfined",) if name == apparmor.LAUNCHER else apparmor.ENFORCING
    if found not in wanted:
        seen = f"the kernel has it in {found} mode" if found else "the kernel does not list it"
        hints = [
            f"the system keeps it so: remove {link}"
            for folder in ("disable", "force-complain")
            if os.path.lexists(link := f"{apparmor.FOLDER}/{folder}/{name}")
        ]
        raise HostError(f"apparmor: {name} was loaded, but {seen}", hints=hints)


def _restore(parser: str, name: str, before: str | None) -> None:
    """Put back what was there before: the file, and what the kernel has of it."""
    path = apparmor.file_of(name)
    if before is not None:
        _write(path, before)
        _quietly(lambda: _parse(parser, "load", "--replace", "--skip-cache", path))
        return
    if mode_of(name):
        _quietly(lambda: _parse(parser, "unload", "--remove", path))
    _unlink(path)


def _quietly(action: Callable[[], None]) -> None:
    """Do what may fail while an error is on its way already, which says more."""
    try:
        action()
    except HostError:
        return


def remove(profiles: Iterable[str], launcher: bool) -> list[str]:
    """Unload profiles and delete their files; return their names. Raises HostError, ProfileError."""
    _need_root("remove")
    names = [apparmor.PREFIX + _plain_name(profile) for profile in profiles] + [apparmor.LAUNCHER] * launcher
    for name in names:
        _remove_one(name)
    return names


def _plain_name(profile: str) -> str:
    """Return a profile's name; one named by a path is read, one named by its name need not exist any more."""
    from jailpy.profile import locate

    if locate.is_path(profile):
        return load(profile, ()).name
    if not locate.is_name(profile):
        raise ProfileError(f"apparmor remove: {profile!r} cannot be the name of a profile")
    return profile


def _remove_one(name: str) -> None:
    path = apparmor.file_of(name)
    if _own(path) is None:
        raise HostError(f"apparmor: {path} does not exist", hints=["jailpy apparmor list shows what is installed"])
    if mode_of(name):
        _parse(_parser(), "unload", "--remove", path)
    if mode_of(name):
        raise HostError(f"apparmor: {name} was unloaded, but the kernel still lists it")
    _unlink(path)
    _sync_folder()


def listed() -> list[tuple[str, str, str]]:
    """Return (name, mode or "not loaded", file or "no file of JailPy's") of what is installed or loaded in JailPy's name."""
    modes = {found.name: found.mode for found in apparmor.loaded() if found.name.startswith(apparmor.PREFIX)}
    try:
        names = [name for name in os.listdir(apparmor.FOLDER) if name.startswith(apparmor.PREFIX)]
    except OSError:
        names = []
    written = {name for name in names if surroundings.text(apparmor.file_of(name)).startswith(apparmor.MARK)}
    return [
        (name, modes.get(name, "not loaded"), apparmor.file_of(name) if name in written else "no file of JailPy's")
        for name in sorted(written | modes.keys())
    ]
