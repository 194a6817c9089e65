"""`Buffer`: bytes in memory that a jail sees read-only, without copying: a memfd, sealed before it is handed over."""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import weakref
from typing import Any, NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_FUTURE_WRITE = 0x10  # F_SEAL_FUTURE_WRITE of linux/fcntl.h: our own mapping may stay, nobody gets another one to write by


class Copied(NamedTuple):
    """Bytes, an array or a table as it is to be copied: what the jail must know, and the bytes."""

    meta: dict[str, Any]
    view: memoryview


class Buffer:
    """Bytes to pass to plugins as often as wanted. They are copied once, when it is made from bytes, an array or a table.

    `Buffer.empty(size)` is filled in place instead, through `memory`, until it is first passed. In the jail it is a read-only
    memoryview, a read-only numpy array, or an Arrow table. The caller must not change `memory` afterwards: what a plugin sees
    would change under it.
    """

    def __init__(self, data: Any) -> None:
        self.meta, left = data if isinstance(data, Copied) else described(data)
        self._make(left.nbytes)
        while left.nbytes:  # quicker than through the map, which takes a page fault for each page
            left = left[os.write(self._number, left) :]

    @classmethod
    def empty(cls, size: int) -> Self:
        """Make a buffer of zero bytes, to be filled through `memory`."""
        made = cls.__new__(cls)
        made.meta = {"format": "bytes"}
        made._make(size)
        return made

    def _make(self, size: int) -> None:
        self.size = size
        self._number = os.memfd_create("jailpy-buffer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._finalizer = weakref.finalize(self, os.close, self._number)
        os.ftruncate(self._number, size)
        self._map = mmap.mmap(self._number, size) if size else None
        self.memory = memoryview(self._map if self._map is not None else bytearray())
        self.sealed = False

    def descriptor(self) -> int:
        """Seal the buffer; return its descriptor, which stays the buffer's own. Raises OSError where the kernel refuses."""
        if not self.sealed:
            fcntl.fcntl(self._number, fcntl.F_ADD_SEALS, _SEALS | _FUTURE_WRITE)
            self.sealed = True
        return self._number

    def refill(self, data: Copied) -> None:
        """Put other bytes in, no more than it has room for. Only where no plugin looks at the ones before."""
        self.meta, self.size = data.meta, data.view.nbytes
        self.memory[: self.size] = data.view

    def close(self) -> None:
        """Give the memory back, once nothing here and no plugin holds it any more."""
        self._finalizer()


def described(data: Any) -> Copied:
    """Return what is to be copied. Raises TypeError."""
    numpy, arrow = sys.modules.get("numpy"), sys.modules.get("pyarrow")
    if numpy and isinstance(data, numpy.ndarray):
        if data.dtype.hasobject or data.dtype.names:
            raise TypeError(f"an array of {data.dtype}: only arrays of numbers can be passed")
        whole = numpy.ascontiguousarray(data)
        meta = {"format": "numpy", "dtype": data.dtype.str, "shape": list(data.shape)}
        return Copied(meta, memoryview(whole.reshape(-1).view("u1") if whole.size else b""))
    if arrow and isinstance(data, arrow.Table):
        sink = arrow.BufferOutputStream()
        with arrow.ipc.new_stream(sink, data.schema) as writer:
            writer.write_table(data)
        return Copied({"format": "arrow"}, _bytes(sink.getvalue()))
    try:
        return Copied({"format": "bytes"}, _bytes(data))
    except TypeError:
        raise TypeError(
            f"a value of type {type(data).__name__}: a buffer holds bytes, a numpy array or an Arrow table"
        ) from None


def _bytes(data: Any) -> memoryview:
    view = memoryview(data)
    return view.cast("B") if view.nbytes else memoryview(b"")


def is_large(value: object) -> bool:
    """Tell whether a value is an array or a table, which always goes as a buffer."""
    return type(value).__module__.partition(".")[0] in ("numpy", "pyarrow") and type(value).__name__ in ("ndarray", "Table")
