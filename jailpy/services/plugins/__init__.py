"""Untrusted plugins and programs, each in a jail of its own: manifest and grants, the line protocol, workers, adapters."""
