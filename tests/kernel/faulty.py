"""Runs in a process of its own with one thread: launches jails with a fault built in, and prints what came of each.

    python -P tests/kernel/faulty.py steps|bugs|sabotage|readback|repeat|strays|unread [ARGUMENT...]

One JSON line for each launch.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import resource
import select
import socket
import sys

from jailpy import api, child
from jailpy.errors import JailPyError
from jailpy.kernel import landlock as kernel_landlock
from jailpy.kernel import process as kernel_process
from jailpy.launcher import cgroups, clone, cold, scope, sources
from jailpy.profile.overrides import parse_set
from jailpy.steps import cgroups as cgroup_steps
from jailpy.steps import mounts, process
from tests.core import groups_of

COMMAND = ("/bin/sh", "-c", "echo ran")
NULL = os.open(os.devnull, os.O_RDWR)
ORIGINAL = dict(child.APPLY)


def say(**found):
    print(json.dumps(found), flush=True)


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


def left():
    """What this process still has of its runs: children, cgroups."""
    try:
        os.waitpid(-1, os.WNOHANG)
        children = True
    except ChildProcessError:
        children = False
    return {"children": children, "groups": groups_of(os.getpid())}


def launch(plan, get=()):
    """Run a plan; return the result's verdict, or what was raised."""
    before = descriptors()
    reader, writer = os.pipe()
    try:
        result = api.run(plan, get, (NULL, writer, NULL))
        found = {"verdict": result.outcome.verdict}
    except JailPyError as error:
        found = {
            "error": type(error).__name__, "message": error.message, "layer": getattr(error, "layer", ""),
            "step": getattr(error, "step", ""), "errno": getattr(error, "errno", 0), "status": error.exit_status,
        }  # fmt: skip
    except Exception as error:
        found = {"error": type(error).__name__, "message": str(error), "layer": "", "step": "", "errno": 0, "status": 125}
    os.close(writer)
    found["out"] = os.read(reader, 1000).decode()
    os.close(reader)
    return {**found, **left(), "leaked": [number for number in descriptors() if number not in before]}


def request(*words):
    """Make a plan that has as many kinds of steps as this account can have."""
    asked = [parse_set(word) for word in words]
    return api.plan(api.Request(argv=COMMAND, overrides=tuple(asked)))


def rich(folder):
    """A plan with shown, copied and collected files."""
    asked = [f'filesystem.ro=["{folder}/ro:/work/ro"]', f'filesystem.cow=["{folder}/cow:/work/cow"]', 'network.mode="loopback"']
    overrides = tuple(parse_set(word) for word in asked)
    return api.plan(api.Request(argv=COMMAND, overrides=overrides, put=((f"{folder}/put", ""),), get=(("nothing", "/nosuch"),)))


def _fails_at(target, fault):
    def wrap(apply):
        def applied(step, state):
            if step is target:
                raise fault
            return apply(step, state)

        return applied

    return wrap


class Patches:
    """Set attributes and dictionary entries; put all of them back at the end."""

    def __init__(self):
        self.undo = []

    def set(self, holder, name, value):
        self.undo.append((holder, name, getattr(holder, name)))
        setattr(holder, name, value)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for holder, name, value in reversed(self.undo):
            setattr(holder, name, value)
        child.APPLY.clear()
        child.APPLY.update(ORIGINAL)


def break_step(patches, target, fault):
    """Make one step of a plan fail, whoever applies it."""
    if target.side != "launcher":
        for kind, apply in ORIGINAL.items():
            child.APPLY[kind] = _fails_at(target, fault)(apply)
        return

    def raising(*_, **__):
        raise fault

    def when(original):
        return lambda holder, step: raising() if step is target else original(holder, step)

    if isinstance(target, cgroup_steps.MakeCgroup):
        patches.set(cgroups.RunCgroups, "make", when(cgroups.RunCgroups.make))
    elif isinstance(target, cgroup_steps.SetCgroupLimit):
        patches.set(cgroups.RunCgroups, "limit", when(cgroups.RunCgroups.limit))
    elif isinstance(target, cgroup_steps.EnterLeaf):
        patches.set(cgroups.RunCgroups, "enter_leaf", raising)
    elif isinstance(target, cgroup_steps.EnterScope):
        patches.set(scope, "enter", raising)
    elif isinstance(target, cgroup_steps.EnableControllers):
        patches.set(cgroups, "enable", raising)
    elif isinstance(target, mounts.MapSource):
        original = sources.open_mapped
        patches.set(sources, "open_mapped", lambda step: raising() if step is target else original(step))
    elif isinstance(target, process.CloneNamespaces):
        real = clone.process.clone3
        patches.set(clone.process, "clone3", lambda flags, **more: raising() if flags == target.flags else real(flags, **more))
    elif isinstance(target, process.MapIds):
        patches.set(clone, "map_ids", raising)
    else:
        raise TypeError(target)


def every_step(folder, bug=False):
    plan = rich(folder)
    launch(plan)  # the first one keeps a user namespace for each owner of shown files
    say(step="", before=True, **{key: value for key, value in launch(plan).items() if key != "step"})
    for index, step in enumerate(plan.steps):
        with Patches() as patches:
            break_step(patches, step, ZeroDivisionError("a bug") if bug else OSError(errno.EXFULL, "Exchange full"))
            found = launch(plan)
        say(index=index, words=step.describe(), of=step.layer, kind=type(step).__name__, side=step.side, **found)
    say(step="", after=True, **{key: value for key, value in launch(plan).items() if key != "step"})


def nothing(step, state):
    """Do not apply the step, and say nothing."""


def without(*kinds):
    return lambda patches: child.APPLY.update(dict.fromkeys(kinds, nothing))


def _weak_landlock(patches):
    patches.set(kernel_landlock, "restrict_self", lambda ruleset, flags: None)


def _half_rlimits(name):
    def apply(step, state):
        if step.name != name:
            ORIGINAL[type(step)](step, state)

    return lambda patches: child.APPLY.update({process.SetRlimit: apply, process.LimitOpenFiles: apply})


def _weak_mounts(bit):
    def patch(patches):
        from jailpy.kernel import mount

        new, attributes = mount.new_filesystem, mount.mount_setattr
        patches.set(mount, "new_filesystem", lambda kind, options, flags: new(kind, options, flags & ~bit))
        patches.set(mount, "mount_setattr", lambda fd, flags=0, **more: attributes(fd, flags & ~bit, **more))

    return patch


def _no_namespace(flag):
    def patch(patches):
        real = clone.process.clone3
        patches.set(clone.process, "clone3", lambda flags, **more: real(flags & ~flag, **more))

    return patch


SABOTAGE = {
    "capabilities": without(process.DropCapabilities),
    "no-new-privs": without(process.NoNewPrivs),
    "seccomp": without(process.LoadFilter),
    "rlimits": without(process.SetRlimit),
    "landlock": _weak_landlock,
    "user": without(process.BecomeUser),
    "cgroup-ns": without(process.NewCgroupNamespace),
    "cgroup": without(cgroup_steps.JoinCgroup),
    "mount nosuid": _weak_mounts(0x2),
    "mount noexec": _weak_mounts(0x8),
    "net": _no_namespace(0x40000000),
    "ipc": _no_namespace(0x08000000),
    "uts": _no_namespace(0x04000000),
    **{f"rlimits {name}": _half_rlimits(f"RLIMIT_{name}") for name in ("NOFILE", "FSIZE", "CORE", "STACK", "NPROC", "MEMLOCK")},
}  # fmt: skip


def sabotage():
    plan = request()
    for name, patch in SABOTAGE.items():
        with Patches() as patches:
            patch(patches)
            found = launch(plan)
        say(name=name, **found)
    say(name="", **launch(plan))


def readback():
    """Let every limit file of a cgroup read back something else."""
    plan = request()
    for step in plan.steps:
        if isinstance(step, cgroup_steps.SetCgroupLimit):
            with Patches() as patches:
                read = cgroups.files.write_and_read

                def lying(path, value, file=step.file, read=read):
                    return "max" if path.endswith("/" + file) else read(path, value)

                patches.set(cgroups.files, "write_and_read", lying)
                found = launch(plan)
            say(file=step.file, required=step.required, words=step.describe(), **found)
    say(file="", **launch(plan))


STRAYS = {
    "nothing": lambda: None,
    "opens a file": lambda: os.open("/", os.O_RDONLY),
    "forks": lambda: os.fork() or os._exit(0),
    "makes a socket": socket.socketpair,
    "is readable again": lambda: kernel_process.prctl(kernel_process.PR_SET_DUMPABLE, 1),
}


def _and_then(apply, act):
    def applied(step, state):
        apply(step, state)
        act()

    return applied


def strays():
    """Let init do what it never does, with its filter and without."""
    plan = request()
    last = process.CloseOfInit
    for name, act in STRAYS.items():
        for is_filtered in (True, False):
            with Patches() as patches:
                child.APPLY[last] = _and_then(ORIGINAL[last], act)
                if not is_filtered:
                    without(process.FilterInit)(patches)
                say(name=name, filtered=is_filtered, **launch(plan))


def unread():
    """Let init fail once the launcher's word is there, and the launcher look once init has ended; or before it maps ids."""
    plan = request()
    go, map_ids = cold.Jail.go, clone.map_ids

    def fails(step, state):
        select.select([state.channel], [], [])
        raise OSError(errno.EXFULL, "Exchange full")

    def goes(jail):
        go(jail)
        select.select([jail.pidfd], [], [])

    with Patches() as patches:
        child.APPLY[process.AwaitIds] = fails
        patches.set(cold.Jail, "go", goes)
        say(**launch(plan))

    def fails_at_once(step, state):
        raise OSError(errno.EXFULL, "Exchange full")

    def maps(pid, step):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        map_ids(pid, step)

    with Patches() as patches:
        child.APPLY[process.AwaitIds] = fails_at_once
        patches.set(clone, "map_ids", maps)
        say(**launch(plan))
    say(**launch(plan))


def repeat(times):
    plan = request()
    for number in range(times):
        found = launch(plan)
        if number in (4, times - 1):
            garbage = gc.get_freeze_count()
            groups = os.getgroups()
            say(
                peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                fds=len(descriptors()),
                frozen=garbage,
                groups=groups,
                **{key: value for key, value in found.items() if key != "groups"},
            )


if __name__ == "__main__":
    what, *more = sys.argv[1:]
    {
        "steps": lambda: every_step(more[0]),
        "bugs": lambda: every_step(more[0], bug=True),
        "sabotage": sabotage,
        "readback": readback,
        "strays": strays,
        "unread": unread,
        "repeat": lambda: repeat(int(more[0])),
    }[what]()
