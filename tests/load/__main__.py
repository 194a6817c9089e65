"""The long runs: `python -m tests.load --runs 10000 --workers 8`, `python -m tests.load --neighbours 3` (seconds for each attack)."""

from __future__ import annotations

import argparse
import time

from tests.load.mixed import load
from tests.load.neighbours import measure

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--runs", type=int, default=10000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--pool", type=int, default=0)
    parser.add_argument("--neighbours", type=float, default=0)
    parser.add_argument("--pinned", action="store_true", help="neighbours: a processor each")
    options = parser.parse_args()
    if options.neighbours:
        print("milliseconds that 99 of 100 requests take at most, and what runs beside the service")
        for name, value in measure(options.neighbours, pinned=options.pinned):
            print(f"{value * 1000:12.2f}   {name}")
    else:
        print(f"seed {options.seed}")
        seen = load(options.runs, options.workers, options.seed, options.pool)
        print(f"{options.runs} runs, {options.workers} at a time, {seen.seconds:.0f} s, as expected: {seen.verdicts}")
        print(f"bytes and descriptors of the launcher over time: {seen.sizes}")
