"""Modules that adapters run in jails, as plugins."""
