"""`python -m jailpy`."""

from __future__ import annotations

import sys

from jailpy.cli import main

sys.exit(main())
