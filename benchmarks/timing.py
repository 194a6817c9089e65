"""What times come to: percentiles. Milliseconds everywhere."""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least so many per cent of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return p50 (the median), p90, p99, the minimum, and how many there are."""
    return {
        "p50": round(statistics.median(values), 3),
        "p90": round(percentile(values, 90), 3),
        "p99": round(percentile(values, 99), 3),
        "min": round(min(values), 3),
        "runs": len(values),
    }


def shuffled(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield all names once in each round, in an order of its own, always the same ones: nobody always follows the same."""
    order = random.Random(1)
    for _ in range(rounds):
        yield from order.sample(names, len(names))


def in_turns(calls: Mapping[str, Callable[[], float]], rounds: int, pause_s: float) -> dict[str, list[float]]:
    """Make every call once in each round, a pause before each: what one leaves to be done is not charged to the next."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for name in shuffled(list(calls), rounds):
        time.sleep(pause_s)
        found[name].append(calls[name]())
    return found
