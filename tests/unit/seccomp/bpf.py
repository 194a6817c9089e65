"""A simulator of the classic BPF that seccomp accepts, and of the allow bitmap that the kernel computes. For tests."""

from __future__ import annotations

import struct

KILL, ERRNO, NOTIFY, ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028}
ENOSYS = ERRNO | 38

_LD, _RET, _AND, _JA = 0x20, 0x06, 0x54, 0x05
_JUMPS = {
    0x15: lambda a, k: a == k,
    0x25: lambda a, k: a > k,
    0x35: lambda a, k: a >= k,
    0x45: lambda a, k: bool(a & k),
}


class ReadsMemory(Exception):
    """The program looked at an argument or the instruction pointer, so its answer depends on more than the number."""


def decode(program):
    """Return the instructions (code, jump if true, jump if false, constant)."""
    return list(struct.iter_unpack("HBBI", program))


def data(arch, number, args=()):
    """Return struct seccomp_data: seccomp(2)."""
    args = [*args, 0, 0, 0, 0, 0, 0][:6]
    return struct.pack("iIQ6Q", number if number < 1 << 31 else number - (1 << 32), ARCH[arch], 0, *args)


def run(program, arch, number, args=(), constant_only=False):
    """Return the program's answer. With `constant_only`, raise ReadsMemory where it depends on more than the number."""
    code, memory = program if isinstance(program, list) else decode(program), data(arch, number & 0xFFFFFFFF, args)
    at = accumulator = 0
    while True:
        op, true, false, k = code[at]
        at += 1
        if op == _RET:
            return k
        if op == _LD:
            if constant_only and k >= 8:
                raise ReadsMemory
            accumulator = struct.unpack_from("I", memory, k)[0]
        elif op == _AND:
            if constant_only:
                raise ReadsMemory
            accumulator &= k
        elif op == _JA:
            at += k
        else:
            at += true if _JUMPS[op](accumulator, k) else false


def in_bitmap(program, arch, number):
    """Tell whether the kernel's allow bitmap covers a number: allowed, by number and architecture alone (Linux 5.11)."""
    try:
        return run(program, arch, number, constant_only=True) == ALLOW
    except ReadsMemory:
        return False
