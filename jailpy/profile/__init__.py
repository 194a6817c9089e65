"""Profiles: TOML files to one checked value. Parent side; `load` is the door, `model` the value."""
