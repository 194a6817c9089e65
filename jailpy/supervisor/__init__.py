"""Watch a run: clocks and limits, accounting, bounded output, violations, the verdict. Parent side; the only one that kills."""
