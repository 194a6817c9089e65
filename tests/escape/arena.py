"""One function for each way to run a hostile program, and a look at what is left."""

from __future__ import annotations

import contextlib
import os
import types

import jailpy
from jailpy.profile.model import LAYERS
from jailpy.services.escapes.all import REMOVABLE, without
from jailpy.services.escapes.scene import SHOWN, attempts
from tests.core import PATIENCE, alive, eventually, execute, groups_of, mounts

__all__ = ["REMOVABLE", "without"]


def run_of(phases):
    """Make one result of the phases of a program."""
    said = attempts(b"".join(phase.out for phase in phases))
    last = phases[-1]
    return types.SimpleNamespace(
        said=said, out={name: detail for name, (word, detail) in said.items() if word == "out"}, early=phases[:-1],
        report=last.report, verdict=last.report["verdict"] if last.report else "", err=last.err,
    )  # fmt: skip


def outside(scene, name, header, kind):
    """Run a program with no jail around it."""
    out, err = scene.outside(name, header.phases, kind)
    return run_of([types.SimpleNamespace(out=out, err=err, report=None)])


def given_to(header):
    """Return the options of a program's runs. On a slow machine those that end by themselves have more time for it."""
    patient = {"wall": f"{30 * PATIENCE}s", "cpu": f"{15 * PATIENCE}s"} if PATIENCE != 1 and header.ending == "ok" else {}
    return {**patient, **header.options}


def cold(scene, jailpy_command, name, header):
    """Run a program by `jailpy exec`, and see that nothing is left."""
    given = {**given_to(header), **header.options.get("set", {})}
    words = [
        word
        for key, value in given.items()
        if key != "set"
        for word in (("--set", f"{key}={value}") if "." in key else (f"--{key.replace('_', '-')}", str(value)))
    ]
    phases = []
    for phase in header.phases:
        done = execute(
            jailpy_command, *words, "--ro", f"{scene.folder}:{SHOWN}", "--", *scene.command(name, phase, inside=True),
            env=scene.environment(), pass_fds=[scene.inherited],
        )  # fmt: skip
        phases.append(done)
    nothing_runs(scene)
    return run_of(phases)


def warm(scene, launcher, name, header, **options):
    """Run a program by a launcher, and see that nothing is left but what the launcher keeps."""
    kept = groups(launcher)
    phases = []
    for phase in header.phases:
        done = launcher.run(scene.command(name, phase, inside=True), **{**given_to(header), **options})
        phases.append(types.SimpleNamespace(out=done.stdout, err=done.stderr, report=done.report()))
    nothing_runs(scene)
    assert eventually(lambda: not empty(groups(launcher) - kept)), f"cgroups are left: {empty(groups(launcher) - kept)}"
    return run_of(phases)


def nothing_runs(scene):
    """See that no process, mount or temporary file of a run is left."""
    assert not alive(scene.word), "a process outlived its run"
    assert not mounts(), mounts()
    assert not os.listdir(scene.temporary), "temporary files are left"


def empty(folders):
    """Return the groups that hold no process. A launcher's templates, which a run may have been the first to need, do."""
    found = set()
    for folder in folders:
        held = []
        for top, _, _ in os.walk(folder):
            with contextlib.suppress(FileNotFoundError), open(f"{top}/cgroup.procs", encoding="ascii") as file:
                held += file.readlines()
        found |= set() if held else {folder}
    return {folder for folder in found if os.path.isdir(folder)}


def groups(launcher):
    """Return the cgroups of a launcher's workers."""
    server = launcher._server._process
    if server is None:
        return set()
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{server.pid}/task/{server.pid}/children") as file:
        return {group for pid in (server.pid, *file.read().split()) for group in groups_of(pid)}
    return set()


@contextlib.contextmanager
def launching(scene, **options):
    """A launcher of this scene; when it closes nothing of it is left."""
    old = dict(os.environ)
    os.environ.update(scene.environment())
    try:
        with jailpy.Launcher(ro=[f"{scene.folder}:{SHOWN}"], **options) as launcher:
            assert launcher.run(["/usr/bin/true"]).verdict == "ok"
            yield launcher
            server, kept = launcher._server._process.pid, groups(launcher)
    finally:
        os.environ.clear()
        os.environ.update(old)
    assert not os.path.exists(f"/proc/{server}")
    assert eventually(lambda: not any(map(os.path.isdir, kept))), f"cgroups are left: {kept}"


def kernel_layers(header):
    """Return the declared layers that a report lists."""
    return [layer for layer in header.layers if layer in LAYERS]
