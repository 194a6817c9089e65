"""What of the kernel a profile leaves within reach, from its filter alone: calls, socket families, ioctl requests, gates."""

from __future__ import annotations

import csv
import functools
import os
import tomllib

from jailpy.layers import seccomp, seccomp_filter, syscall_table
from jailpy.layers.system import PROC_SHOWN
from jailpy.profile import locate
from jailpy.profile.load import load

HERE = os.path.dirname(os.path.abspath(__file__))
ARCH = "x86_64"
TIERS = ("no-namespaces", "container-root")  # their filters are narrower; the first stands for a profile that accepts both
FAMILIES = {
    1: "unix", 2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 29: "can", 30: "tipc", 31: "bluetooth", 38: "alg",
    39: "nfc", 40: "vsock", 41: "kcm", 43: "smc", 44: "xdp",
}  # fmt: skip
KINDS = {1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket"}


def read(name):
    with open(f"{HERE}/{name}", "rb") as file:
        return tomllib.load(file)


GATES = read("gates.toml")
PEERS = read("peers.toml")


def submissions():
    """Return the rows of kernelctf.csv, each with the gate that its CVE needs."""
    with open(f"{HERE}/kernelctf.csv", encoding="utf-8", newline="") as file:
        return [{**row, "gate": GATES["narrower"].get(row["cve"], row["gate"])} for row in csv.DictReader(file)]


class Profile:
    """One of JailPy's profiles: `lets(call, args)` says "yes", "no", or an errno's name where the answer is fixed."""

    def __init__(self, name):
        self.name = self.title = name
        self.profile = load(name)
        wanted = self.profile.seccomp
        tier = next((tier for tier in TIERS if tier in self.profile.require.tiers), "")
        self.policy = seccomp_filter.policy(
            wanted.allow, wanted.deny, wanted.violation, self.profile.filesystem.exec, ARCH, rw=True,
            narrow=seccomp._NARROWED.get(tier, ()),
        )  # fmt: skip
        self.layers = self.profile.require.layers
        self.by_call = {}
        for decision in self.policy.decisions:
            self.by_call.setdefault(decision.name, []).append(decision)

    def lets(self, call, args=()):
        args = [*args, *[0] * 6][:6]
        if self.policy.record:
            return True
        return any(
            decision.errno is None and any(all(args[at] & mask == value for at, mask, value in tests) for tests in decision.alternatives)
            for decision in self.by_call.get(call, ())
        )  # fmt: skip

    def word(self, call):
        """Say in one word what a table shows of a call."""
        if self.policy.record:
            return "recorded"
        allowed = [decision for decision in self.by_call.get(call, ()) if decision.errno is None]
        if not allowed:
            return ""
        return "yes" if allowed[0].alternatives == syscall_table.ANY_CALL else "some"

    def requests(self):
        """Return the ioctl requests that the filter lets through."""
        return sorted(
            {
                value
                for decision in self.by_call["ioctl"]
                for tests in decision.alternatives
                for at, _, value in tests
                if at == 1
            }
        )

    def proc(self):
        return sorted(PROC_SHOWN) if self.profile.filesystem.proc == "private" else []


class Peer:
    """Another tool's filter; None lets everything through."""

    def __init__(self, title, found=None):
        self.title, self.found, self.layers = title, found, ()

    def lets(self, call, args=()):
        if self.found is None:
            return True
        args = [*args, *[0] * 6][:6]
        tests = self.found.get("when", {}).get(call)
        if tests:
            return all((args[at] & mask in values) == (how == "is") for at, mask, how, values in tests)
        return call in self.found["calls"]

    def word(self, call):
        if self.found is None:
            return "yes"
        return "some" if call in self.found.get("when", {}) else "yes" if call in self.found["calls"] else ""


@functools.cache
def profiles():
    return [Profile(name) for name in sorted(locate.names(locate.BUILTIN_FOLDER), key=lambda name: (name != "strict", name))]


def peers():
    return [*(Peer(found["title"], found) for found in PEERS.values()), Peer("bubblewrap")]


def calls():
    """Return every call of this architecture."""
    table = syscall_table.load()
    return sorted(name for name in table.numbers if table.number(name, ARCH) >= 0)


def sockets(tool, call="socket"):
    """Return the families and types of sockets that a tool lets a program make."""
    return [(family, kind) for family in FAMILIES for kind in KINDS if tool.lets(call, (family, kind, 0))]


def parsed(text):
    name, _, args = text.partition(":")
    return name, [int(arg, 0) for arg in args.split(",")] if args else []


def closed(tool, gate):
    """Say whether a gate is shut: a layer that every run of the profile has does it, or each way has a denied call."""
    found = GATES["gates"][gate]
    if found.get("layer") in tool.layers:
        return True
    return all(any(not tool.lets(*parsed(call)) for call in way) for way in found["ways"])


def share(tool):
    """Return how many submissions had their gate closed, and of how many."""
    rows = submissions()
    return sum(closed(tool, row["gate"]) for row in rows), len(rows)
