"""The command of the lab: `python -m tests.vm` builds what is missing and runs the tests of tests/vm on every guest."""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shlex
import shutil
import subprocess
import sys

from tests.vm import lab
from tests.vm.cache import LabError, home, say
from tests.vm.guests import HERE, MODES, QUICK, TREE, load
from tests.vm.machine import SECURITY

EXAMPLES = """examples:
  python -m tests.vm                                   everything, on every guest: takes hours
  python -m tests.vm --quick                           what CI runs: the shorter tests, on two guests
  python -m tests.vm --guest trixie -- -k modes        what follows goes to pytest
  python -m tests.vm run --guest bookworm -- jailpy doctor
  python -m tests.vm run --mode root --before 'sysctl -w user.max_user_namespaces=0' -- jailpy doctor
  python -m tests.vm build                             only make what is missing
  python -m tests.vm clean                             remove the cache

Needs Debian's mmdebstrap, qemu-system-x86, qemu-utils, e2fsprogs, xz-utils; root to build the guests' disks; an interpreter with
JailPy's development dependencies. The cache is in JAILPY_VM_CACHE, by default ~/.cache/jailpy/vm: about 1 GB for each guest.
"""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog="python -m tests.vm",
        description="Run JailPy's tests in virtual machines.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("do", nargs="?", default="test", choices=["test", "run", "build", "clean"], help="default: test")
    made.add_argument("--guest", action="append", default=[], choices=list(load()), help="only on this guest; repeatable")
    made.add_argument("--quick", action="store_true", help=f"leave out the long tests; by default on {' and '.join(QUICK)}")
    made.add_argument("--jobs", type=int, default=1, metavar="N", help="guests to build or test at the same time (default 1)")
    made.add_argument("--record", action="store_true", help="write what was found into tests/vm/results.json")
    trying = made.add_argument_group("options of run")
    trying.add_argument("--mode", default="user", choices=MODES, help="who runs the command (default user)")
    trying.add_argument("--before", default="", metavar="SCRIPT", help="run by root first")
    trying.add_argument("--after", default="", metavar="SCRIPT", help="run by root afterwards; its output is shown")
    trying.add_argument("--append", default=SECURITY, metavar="WORDS", help="the end of the kernel's command line")
    trying.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds (default 600)")
    return made


def main(words: list[str]) -> int:
    """Do what the command line says. Returns the exit status."""
    dashes = words.index("--") if "--" in words else len(words)
    head, command = words[:dashes], words[dashes + 1 :]
    options = parser().parse_args(head)
    try:
        if options.do == "clean":
            shutil.rmtree(home())
            return 0
        if options.do == "run":
            return run(options, command)
        names = options.guest or (list(QUICK) if options.quick else list(load()))
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lab.installed, [load()[name] for name in names]))
        return 0 if options.do == "build" else test(options, names, command)
    except (LabError, TimeoutError) as error:
        say(f"error: {error}")
        return 125


def run(options: argparse.Namespace, command: list[str]) -> int:
    """Run one command in a guest, and show what it said."""
    guest = load()[(options.guest or ["trixie"])[0]]
    script = command[0] if len(command) == 1 else shlex.join(command)
    scripts = {"before": options.before, "after": options.after}
    choice = {"mode": options.mode, "append": options.append, "seconds": options.timeout}
    done = lab.run(guest, script, **choice, **scripts, show=show)
    say(f"{guest.name}: status {done.status}, {done.seconds:.1f} s")
    return done.status if done.status >= 0 else 128 - done.status


def show(kind: bytes, data: bytes) -> None:
    """Pass on what a guest says."""
    stream = sys.stdout.buffer if kind == b"o" else sys.stderr.buffer
    stream.write(data)
    stream.flush()


def test(options: argparse.Namespace, names: list[str], rest: list[str]) -> int:
    """Run pytest, for all guests one after the other, or for several at a time. Returns 0 where all passed."""
    flags = [*(["--quick"] if options.quick else []), *(["--record"] if options.record else []), *rest]
    if options.jobs == 1:
        return subprocess.run(pytest(names, flags), cwd=TREE, check=False).returncode
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        statuses = list(pool.map(lambda name: test_one(name, flags), names))
    failed = [name for name, status in zip(names, statuses, strict=True) if status]
    say(f"failed: {', '.join(failed)}" if failed else "all passed")
    return int(bool(failed))


def test_one(name: str, flags: list[str]) -> int:
    """Test one guest while others are tested: each line of pytest's has the guest's name before it."""
    with subprocess.Popen(
        pytest([name], flags), cwd=TREE, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        for line in process.stdout:
            print(f"{name}: {line}", end="", flush=True)
    return process.returncode


def pytest(names: list[str], flags: list[str]) -> list[str]:
    """Return the command that tests some guests. The time limits are those of `guest.run`."""
    guests = [word for name in names for word in ("--guest", name)]
    options = ["-o", "timeout=0", "-p", "no:cacheprovider", "-v", "--durations=10"]
    return [sys.executable, "-m", "pytest", os.path.relpath(HERE, TREE), *options, *guests, *flags]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
