"""The fixture `guest` of the tests that run in virtual machines, and which guests and tests were chosen."""

from __future__ import annotations

import collections
import datetime as dt
import json
import os

import pytest

from tests.vm import lab
from tests.vm.cache import locked
from tests.vm.guests import HERE, QUICK, load
from tests.vm.machine import SECURITY

RESULTS = os.path.join(HERE, "results.json")
TREE = lambda: collections.defaultdict(TREE)
FOUND = pytest.StashKey()


class Visitor:
    """A guest as a test sees it. `facts` are those that guests.toml expects of it."""

    def __init__(self, guest):
        self.guest, self.name, self.facts = guest, guest.name, guest.facts

    def run(self, command, *, mode="user", before="", after="", append=SECURITY, timeout=300):
        """Run a script of sh in a fresh copy of the guest. Returns a `lab.Done`.

        mode: `user` (uid 1000, a delegated scope of its user manager), `login` (uid 1000, a PAM session, nothing delegated)
        or `root` (a system service). `before` and `after` are scripts of root's; a failing one is an error. `append` ends the
        kernel's command line. Raises TimeoutError after `timeout` seconds.
        """
        return lab.run(self.guest, command, mode=mode, before=before, after=after, append=append or SECURITY, seconds=timeout)


def pytest_addoption(parser):
    options = parser.getgroup("virtual machines")
    options.addoption("--guest", action="append", default=[], choices=sorted(load()), help="only on this guest; repeatable")
    options.addoption("--quick", action="store_true", help="without the tests marked `full`; on two guests")
    options.addoption("--record", action="store_true", help="write what was found into tests/vm/results.json")


def pytest_configure(config):
    config.addinivalue_line("markers", "guests(*names): only on these guests")
    config.addinivalue_line("markers", "full: left out by --quick")
    config.addinivalue_line("markers", "in_turn: by --quick on one of its guests only, the next on the other")
    config.stash[FOUND] = TREE()


def chosen(config):
    """List the names of the guests of this run."""
    return config.getoption("guest") or (list(QUICK) if config.getoption("quick") else list(load()))


def pytest_generate_tests(metafunc):
    if "guest" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("guests")
        names = [name for name in chosen(metafunc.config) if not marker or name in marker.args]
        metafunc.parametrize("guest", names, indirect=True)


def pytest_collection_modifyitems(config, items):
    """Leave out what is for the full run, and tests that are for none of the chosen guests."""
    left_out = [item for item in items if "guest" in item.fixturenames and "[NOTSET" in item.name]
    if config.getoption("quick"):
        left_out += [item for item in items if item.get_closest_marker("full")]
        left_out += of_the_other_guest([item for item in items if item not in left_out])
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def of_the_other_guest(items):
    """List the tests that `--quick` runs on another guest: what is marked `in_turn` goes round its guests."""
    turns, found = collections.Counter(), []
    for item in items:
        guest = item.callspec.params.get("guest") if hasattr(item, "callspec") else None
        if guest in QUICK and item.get_closest_marker("in_turn"):
            turns[guest] += 1
            found += [item] if QUICK[turns[guest] % len(QUICK)] != guest else []
    return found


@pytest.fixture
def guest(request):
    """Return the guest that a test runs on."""
    return Visitor(load()[request.param])


@pytest.fixture
def found(request):
    """Return the tree of what `--record` writes, found[guest][mode][what] = value; it is written after each test."""
    yield request.config.stash[FOUND]
    if request.config.getoption("record"):
        with locked(HERE):
            record(request.config.stash[FOUND])
        request.config.stash[FOUND] = TREE()  # another process may measure it anew meanwhile


def record(news):
    """Merge what was found into results.json: a run of some tests, or of one guest, leaves what others found."""
    known = {}
    if os.path.exists(RESULTS):
        with open(RESULTS, encoding="utf-8") as file:
            known = json.load(file)
    for name in news:
        news[name]["measured"] = dt.datetime.now(dt.UTC).date().isoformat()
    with open(f"{RESULTS}.new", "w", encoding="utf-8") as file:
        json.dump(merged(known, news), file, indent=1, sort_keys=True)
        file.write("\n")
    os.replace(f"{RESULTS}.new", RESULTS)


def merged(known, news):
    """Lay a tree over another one."""
    both = known.keys() & news.keys()
    deeper = {key: merged(known[key], news[key]) for key in both if isinstance(news[key], collections.defaultdict)}
    return {**known, **news, **deeper}
