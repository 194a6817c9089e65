"""Functions that tests of JailExecutor call in jails. Imports nothing but the standard library, and `helper` on demand."""

import os
import sys
import time

LEFT = []


def add(first, second=1):
    print("noise on standard output")
    print("noise on standard error", file=sys.stderr)
    return first + second


def echo(*args, **kwargs):
    return [list(args), kwargs]


def fail(text):
    raise ValueError(text)


class Odd(Exception):
    def __str__(self):
        raise RuntimeError


def fail_oddly():
    raise Odd


def leave(status):
    sys.exit(status)


def vanish(status):
    os._exit(status)


def hog():
    return len(bytearray(10**9))


def spin():
    while True:
        pass


def fill_disk():
    with open("/work/big", "wb") as file:
        while True:
            file.write(bytes(1 << 20))


def letters(count):
    return "x" * count


def returns(kind):
    loop = []
    loop.append(loop)
    return {"set": {1}, "key": {1: 2}, "bytes": b"x", "loop": loop, "nan": 0.5, "tuple": (1, (2,))}[kind]


def garbage():
    for number in range(3, 64):
        for junk in (b'{"result": 1', b"\xff\x00", b"[" * 5000):
            try:
                os.write(number, junk)
            except OSError:
                pass


def forge(text):
    for number in range(3, 64):
        try:
            os.write(number, text.encode())
        except OSError:
            continue
    os._exit(0)


def leftover():
    """Say what the call before left, then leave something."""
    found = [list(LEFT), os.path.exists("/work/mark"), "MARK" in os.environ]
    LEFT.append(1)
    os.environ["MARK"] = "1"
    with open("/work/mark", "w"):
        return found


def surroundings():
    return {"name": __name__, "folder": os.getcwd(), "host": os.path.exists("/root"), "stdin": sys.stdin.read()}


def nap(seconds):
    time.sleep(seconds)
    return seconds


def child_holds_on():
    """Leave a child that keeps every descriptor which it got."""
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    return "done"


class Shelf:
    @staticmethod
    def label(text):
        return f"<{text}>"

    def method(self):
        return 1
