# row = "E17"
# boundary = "what others read: page-cache residency and access times of shared files"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["mincore", "cachestat"]
# control = "outside"
# [unproven]
# RWF_NOWAIT = "a filesystem without it"
# cachestat = "from Linux 6.5"
# MADV_MERGEABLE = "a kernel without it"
# inotify = "where the caller has used up its instances"
"""Asks which pages of a shared file are in memory, throws them out, has pages merged with those of others, and watches for accesses."""

import ctypes
import mmap
import os

from attack import attempt, call

number = os.open("/usr/bin/true", os.O_RDONLY)
area = mmap.mmap(number, 4096, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)
vector = ctypes.create_string_buffer(16)


def mincore():
    memory = mmap.mmap(-1, 4096)
    call("mincore", ctypes.addressof(ctypes.c_char.from_buffer(memory)), 4096, vector)
    return "pages in memory are told"


def cachestat():
    span, found = (ctypes.c_uint64 * 2)(0, 4096), (ctypes.c_uint64 * 5)()
    call("cachestat", number, span, found, 0)
    return f"{found[0]} pages in memory"


attempt("mincore", mincore)
attempt("cachestat", cachestat)


def evicted():
    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
    return "pages thrown out of memory"


def advised(advice):
    area.madvise(advice)
    return "advice taken"


def at_once():
    return f"{os.preadv(number, [bytearray(64)], 0, os.RWF_NOWAIT)} bytes were in memory"


attempt("eviction", evicted)
os.pread(number, 64, 0)
for name, advice in (("MADV_COLD", 20), ("MADV_PAGEOUT", 21), ("MADV_MERGEABLE", 12)):
    attempt(name, advised, advice)
attempt("RWF_NOWAIT", at_once)
attempt("inotify", lambda: f"descriptor {call('inotify_init1', 0)}")
