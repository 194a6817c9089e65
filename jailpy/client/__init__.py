"""The Python API: `run`, `run_async`, `Launcher` and what they return. Talks to a server process; forks nothing itself.

Names are imported from `jailpy`, which loads them when they are first used.
"""
