"""Hostile programs, each in a jail and beside a control: `jailpy selftest --all`. Parent side, but for `programs`."""
