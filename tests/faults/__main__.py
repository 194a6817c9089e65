"""The long run: `python -m tests.faults --rounds 2000`."""

from __future__ import annotations

import argparse
import time

from tests.faults.strike import strike

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--pool", type=int, default=0)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    for what, count in sorted(strike(options.rounds, options.seed, options.pool).items()):
        print(f"{count:6} {what}")
