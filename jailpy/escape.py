"""Make untrusted text harmless for a terminal: control characters but newline, return and tab are shown escaped."""

from __future__ import annotations

import codecs

_CONTROLS = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A, 0x0D)]
_TABLE = {code: f"\\x{code:02x}" for code in _CONTROLS} | {
    code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_LINE = _TABLE | {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}


def line(text: str) -> str:
    """Return a text for one line of a message: newlines and undecodable bytes are escaped too."""
    try:
        data = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # a half of a character, as JSON can hold it, and not os.fsdecode's word for a byte
        data = text.encode(errors="backslashreplace")
    return data.decode(errors="backslashreplace").translate(_LINE)


class TerminalFilter:
    """Escapes a stream of bytes chunk by chunk; a character cut by a chunk's end is kept for the next."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="backslashreplace").decode

    def feed(self, chunk: bytes, final: bool = False) -> bytes:
        """Return what may be written for this chunk."""
        return self._decode(chunk, final).translate(_TABLE).encode()
