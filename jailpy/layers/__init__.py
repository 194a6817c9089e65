"""The layers, parent side: each module says what its mechanism needs of the host and plans its steps.

`plan(context)` returns a `Planned`; it never touches the kernel. To add a layer: docs/CONTRIBUTING, "How to add a layer".
"""

from __future__ import annotations

from jailpy.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import Entry, HostFacts
    from jailpy.host.sources import Source
    from jailpy.profile.model import Profile
    from jailpy.steps import Step


class Need(Frozen):
    """Something that the host lacks: `what` is missing, for the reason `why`; `fix` is the smallest thing that helps."""

    layer: str
    what: str
    why: str
    fix: str


class Planned(Frozen):
    """What a layer will do: `state` is "enforced", "degraded", "absent" or "off"; `mechanism` says by what, in words.

    `tiers` names the weaker tiers that it stands on here; each must be accepted by the profile (jailpy/plan/tiers.py).
    """

    name: str
    state: str
    mechanism: str
    steps: tuple[Step, ...] = ()
    needs: tuple[Need, ...] = ()
    notes: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()


class Command(Frozen):
    """What to run: argv, the environment that the payload gets, what is shown to it, how its streams are connected.

    `keep` are descriptors that it gets; `keeps_files` says that one of them lets it write to files of the host.
    `devices` are the block devices behind what is shown, `without_device` the paths that have none; both are looked for
    only where the profile limits io. `script` is the content of argv[1], a file of the work folder; `preload` are modules that
    a warm interpreter, argv[0], has imported already.
    """

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    sources: tuple[Source, ...] = ()
    put: tuple[Source, ...] = ()
    root: tuple[Entry, ...] = ()
    root_owner: tuple[int, int] = (0, 0)
    terminal: bool = False
    collect: bool = False
    keep: tuple[int, ...] = ()
    keeps_files: bool = False
    devices: tuple[str, ...] = ()
    without_device: tuple[str, ...] = ()
    script: bytes | None = None
    preload: tuple[str, ...] = ()


class Context(Frozen):
    """Everything that a layer may look at. `tier` is the weaker tier of a launch without namespaces, else ""."""

    profile: Profile
    host: HostFacts
    command: Command
    tier: str = ""

    def wants(self, layer: str) -> bool:
        """Say whether the profile requires or prefers a layer."""
        return layer in self.profile.require.layers or layer in self.profile.require.prefer


def script_name(context: Context) -> str:
    """Return the name of the script in the work folder; on the command line "./" keeps one with a dash from being an option."""
    return context.command.argv[1].removeprefix("./")
