"""What the hostile programs share: one line on standard output for each attempt, "out NAME: ..." or "held NAME: ...".

An attempt is a function. It is out if it returns, and held if the kernel refuses it (OSError) or nothing is there to be had
(Held). Any other exception is a bug of the program and ends it with a traceback and status 1, which no row expects.
"""

import ctypes
import errno
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PHASE = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p


def _table(name):
    with open(os.path.join(HERE, name)) as file:
        return dict(line.rstrip("\n").split(" ", 1) for line in file)


NUMBERS = _table("numbers")
FACTS = _table("facts")


class Held(Exception):
    """What was wanted is not there."""


def say(word, name, detail):
    os.write(1, f"{word} {name}: {detail}\n".encode(errors="backslashreplace"))


def attempt(name, act, *args):
    """Make one attempt, say how it ended, and return whether it got out."""
    try:
        seen = act(*args)
    except (OSError, Held) as error:
        number = getattr(error, "errno", None)
        say("held", name, errno.errorcode.get(number, number) if number else error)
        return False
    say("out", name, seen)
    return True


def check(result):
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(name, *args):
    """Make a raw system call, by name or number; the arguments not given are 0."""
    number = name if isinstance(name, int) else int(NUMBERS[name])
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in (*args, *[0] * (6 - len(args)))]
    return check(libc.syscall(ctypes.c_long(number), *words))


def reaches(name, *args):
    """Make a call whose arguments make no sense: any errno but those of a filter shows that the kernel looked at it."""
    try:
        return f"returned {call(name, *args)}"
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOSYS):
            raise
        return f"reached the kernel ({errno.errorcode.get(error.errno, error.errno)})"


def in_child(act, *args):
    """Make an attempt in a child; what it raises, this raises."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            seen = str(act(*args))
        except OSError as error:
            seen = f"!{error.errno}"
        except Held as error:
            seen = f"?{error}"
        os.write(writer, seen.encode())
        os._exit(0)
    os.close(writer)
    seen = os.read(reader, 4096).decode()
    os.close(reader)
    status = os.waitpid(pid, 0)[1]
    if not seen:
        raise Held(f"the child ended with {status}")
    if seen[0] == "!":
        raise OSError(int(seen[1:]), os.strerror(int(seen[1:])))
    if seen[0] == "?":
        raise Held(seen[1:])
    return seen


def opens(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
    return f"opened {path}"


def caller():
    """Return the process number of the decoy outside. Raises Held where that number is another's, as in the jail."""
    with open(f"/proc/{FACTS['pid']}/cmdline") as file:
        if f"decoy-{FACTS['word']}" not in file.read():
            raise Held("another process has its number")
    return int(FACTS["pid"])
