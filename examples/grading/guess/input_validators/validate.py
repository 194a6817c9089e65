"""Exits with 42 where the input is one number from 1 to 1000."""

import re
import sys

text = sys.stdin.read()
assert re.fullmatch(r"[1-9][0-9]{0,2}\n|1000\n", text)
sys.exit(42)
