"""The virtual machine lab: Debian guests with real kernels, booted once, resumed for each command, thrown away after it.

`python -m tests.vm --help` says how to start it; docs/how-to/run-the-virtual-machines.md has the rest.
"""
