"""The C half of hashlib's sha256 (Python 3.11)."""

from _hashlib import HASH

def sha256(string: bytes = ..., *, usedforsecurity: bool = ...) -> HASH: ...
