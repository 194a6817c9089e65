"""Wants all, and needs none of it."""

import os


def words(text):
    seen = [path for path in ("/home", "/root", "/data") if os.path.exists(path)]
    return {"words": len(text.split()), "seen": seen}
