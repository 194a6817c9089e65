"""JailPy: run untrusted programs in a jail, without root, with a truthful record of what confined them.

Public names are loaded lazily: importing the package costs nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"
