"""Pseudo-terminals: pty(7), ioctl_tty(2). Imported only where a terminal was asked for."""

from __future__ import annotations

import fcntl
import os
import termios

_TIOCGPTN = 0x80045430
_TIOCSPTLCK = 0x40045431


def open_pair(folder: str) -> tuple[int, int]:
    """Open a new terminal of the devpts instance at `folder`; return (master, slave). Raises OSError."""
    master = os.open(f"{folder}/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, b"\0\0\0\0")
    number = int.from_bytes(fcntl.ioctl(master, _TIOCGPTN, b"\0\0\0\0"), "little")
    return master, os.open(f"{folder}/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def make_controlling(slave: int) -> None:
    """Make a terminal the controlling one of this session. Raises OSError."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def window_size(descriptor: int) -> bytes:
    """Return struct winsize of a terminal as bytes. Raises OSError."""
    return fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8)


def set_window_size(descriptor: int, size: bytes) -> None:
    """Set struct winsize of a terminal; its foreground processes get SIGWINCH. Raises OSError."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)
