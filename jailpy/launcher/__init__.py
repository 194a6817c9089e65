"""Build a jail from a plan. Parent side: the only place, beside host.probe, that forks."""
