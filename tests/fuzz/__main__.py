"""The long run: `python -m tests.fuzz --seconds 600`."""

from __future__ import annotations

import argparse
import time

from tests.fuzz.run import fuzz

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--profile", default="strict")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    found = fuzz(options.seconds, options.seed, options.profile)
    print(f"{found.calls} calls, {found.denied} of them denied, verdicts {found.verdicts}; nothing got out")
