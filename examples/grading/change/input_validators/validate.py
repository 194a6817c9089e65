"""Exits with 42 where the input is as the statement says."""

import re
import sys

text = sys.stdin.read()
assert re.fullmatch(r"(0|[1-9][0-9]*) [1-9][0-9]*\n([1-9][0-9]* )*[1-9][0-9]*\n", text)
amount, count, *values = map(int, text.split())
assert amount <= 20_000
assert count == len(set(values)) == len(values) <= 20
assert max(values) <= 20_000
sys.exit(42)
