# row = "D19"
# boundary = "the disks of the host: a flush of a file that the jail may only read stalls whoever writes to its disk"
# ending = "ok"
# layers = ["seccomp"]
# control = "outside"
"""Asks the kernel to flush files, with arguments that it refuses: only a filter in front of it says that it is done."""

import errno

from attack import Held, attempt, call


def asked(name, *args):
    try:
        call(name, *args)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.ENOMEM):
            raise
        return f"the kernel looked at it: {errno.errorcode[error.errno]}"
    raise Held("answered without the kernel")


attempt("fsync", asked, "fsync", -1)
attempt("fdatasync", asked, "fdatasync", -1)
attempt("sync_file_range", asked, "sync_file_range", -1, 0, 0, 7)
attempt("msync", asked, "msync", 0, 4096, 4)
