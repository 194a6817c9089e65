"""Landlock: rights per path derived from what the mount layer shows, TCP ports, scopes. Parent side. See landlock(7)."""

from __future__ import annotations

from jailpy.layers import Context, Need, Planned, landlock_rights
from jailpy.layers.view import CANARY, Seen, view
from jailpy.steps import process

NAME = "landlock"
_MINIMUM = 2
_BY_UID = (("pid",), ("mount",))  # signals; truncation: what that uid owns is in the work folder


def plan(context: Context) -> Planned:
    """Plan the ruleset for this kernel's ABI; each right that the ABI lacks is named with what covers it."""
    abi = context.host.landlock_abi
    if not context.wants(NAME):
        return Planned(NAME, "off", "not asked for")
    if abi < _MINIMUM:
        why = f"this kernel offers Landlock ABI {abi}; {_MINIMUM} (Linux 5.19) is the least that confines renames"
        fix = "boot with landlock in the lsm= list (CONFIG_SECURITY_LANDLOCK), or use a newer kernel"
        return Planned(NAME, "absent", why, needs=(Need(NAME, f"Landlock ABI {_MINIMUM}", why, fix),))
    handled = landlock_rights.handled(abi, network=context.profile.network.mode == "none")
    drop = landlock_rights.bits(context.profile.landlock.drop)
    make, shown, canary = _way(context)
    paths = tuple((seen.path, access) for seen in (*shown, *_nearer(context, shown)) if (access := _access(abi, seen) & ~drop))
    step = make(handled=(handled.fs, handled.net, handled.scoped), paths=paths, canary=canary)
    needs = _uncovered(context)
    state = "degraded" if needs else "enforced"
    return Planned(NAME, state, f"ABI {abi}, {len(paths)} paths", (step,), needs, _notes(context))


def _way(context: Context) -> tuple[type[process.RestrictLandlock], tuple[Seen, ...], str]:
    """Return the step, what is shown, and what must be refused: in the jail's own root, or in the host's."""
    if not context.tier:
        return process.RestrictLandlock, view(context), CANARY
    from jailpy.layers import plain
    from jailpy.steps.plain import RestrictInPlace

    return RestrictInPlace, plain.view(context), plain.CANARY


def _nearer(context: Context, shown: tuple[Seen, ...]) -> list[Seen]:
    """Repeat the rule of a system folder on those of its folders that most files are in, which grants nothing new.

    The kernel looks for rules from the file upwards: each folder on the way to one costs an open 80 ns of 3,000.
    """
    system = [seen for seen in shown if seen.kind == "system"]
    return [seen.replace(path=path) for seen in system for path in context.host.nearer if path.startswith(f"{seen.path}/")]


def _in_force(context: Context, layer: str) -> bool:
    """Say whether a layer that covers for Landlock will act. The mount and pid layers always do.

    Without namespaces the filter stands in for them, and for the pid layer a uid of the run's own.
    """
    if context.tier:
        return layer != "pid" or context.tier == "container-root"
    if layer == "net":
        return context.profile.network.mode != "host" and context.wants("net")
    if layer == "seccomp":
        return context.wants("seccomp") and context.profile.seccomp.violation != "record"
    return True


def _granted(context: Context, layers: tuple[str, ...]) -> bool:
    """Say whether the profile gives away what these layers cover: with the host's network nothing of it is to be kept."""
    return layers == ("net",) and context.profile.network.mode == "host"


def _uncovered(context: Context) -> tuple[Need, ...]:
    """Return each right that the ABI lacks, that the profile does not give away, and that no layer in force covers."""
    abi = context.host.landlock_abi
    fix = "keep the layer that covers it, or take landlock out of what the profile requires"
    return tuple(
        Need(NAME, f"Landlock's {right}", f"ABI {abi} lacks it, and {' and '.join(layers)} would have to cover it", fix)
        for right, layers in landlock_rights.covering_layers(abi)
        if not _granted(context, layers) and not all(_in_force(context, layer) for layer in layers)
    )


def _notes(context: Context) -> tuple[str, ...]:
    abi = context.host.landlock_abi
    covering = landlock_rights.covering_layers(abi)
    notes = []
    for (guards, how), (_, layers) in zip(landlock_rights.missing(abi), covering, strict=True):
        instead = "a uid of the run's own" if layers in _BY_UID else "the system-call filter"
        by = (
            f"covered by {instead if context.tier else how}"
            if all(_in_force(context, layer) for layer in layers)
            else "not covered"
        )
        by = "given by network.mode = host" if _granted(context, layers) else by
        notes.append(f"ABI {abi} cannot restrict {guards}: {by}")
    return tuple(notes)


def _access(abi: int, seen: Seen) -> int:
    if seen.kind == "listing":
        return landlock_rights.bits(("read_dir",))
    if seen.kind == "device":
        return landlock_rights.device(abi)
    if seen.kind == "system":
        return landlock_rights.system(abi)
    rights = landlock_rights.writable if seen.writable else landlock_rights.read_only
    access = rights(abi, execute=seen.execute)
    return access if seen.kind == "folder" else landlock_rights.on_file(access)
