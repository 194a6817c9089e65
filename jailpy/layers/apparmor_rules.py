"""The text of an AppArmor profile for the payloads of a JailPy profile. Parent side, pure. See apparmor.d(5).

Rules only allow; what none of them allows is denied and logged. Paths are those of the jail, whose own mount namespace
has its root at "/". Which of them are shown, and which of these are read-only, the command line decides, run by run; so
reading is allowed wherever it may show something, writing wherever that is not the system, and the rest follows the
profile. Explicit denials stand for what is denied anyway, for the reader, and hold against rules of local/.
"""

from __future__ import annotations

from jailpy.errors import ProfileError
from jailpy.frozen import Frozen
from jailpy.host.apparmor import ALLOWS, MARK, PREFIX, quoted
from jailpy.layers import apparmor_grants
from jailpy.layers.system import PROC_SHOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.layers.apparmor_grants import Grants
    from jailpy.profile.model import Profile

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.")
_FLAGS = "attach_disconnected,mediate_deleted"
# Kinds of rules that not every ABI has: the word that the ABI's file has for it, the rule, what it is about.
_NEWER = (
    ("userns_create", "audit deny userns,", "user namespaces"),
    ("io_uring", "audit deny io_uring,", "io_uring"),
)
_INET = tuple(f"network {family} {kind}," for family in ("inet", "inet6") for kind in ("stream", "dgram"))


class Dialect(Frozen):
    """What the installed parser knows: the name of its newest ABI ("4.0"), and the text of that ABI's file."""

    abi: str
    features: str


def profile_text(profile: Profile, dialect: Dialect, unmediated: tuple[str, ...]) -> str:
    """Return the AppArmor profile, the same for the same arguments. Raises ProfileError for a name or path it cannot have.

    `unmediated` are words for what the running kernel does not mediate, whatever a profile says.
    """
    grants = apparmor_grants.of_profile(profile)
    name = PREFIX + profile.name
    _check(profile.name, (*grants.write, *grants.private))
    head = [
        f"{MARK} for profile {profile.name}; changes are lost, own rules belong into local/{name}.",
        *(f"{ALLOWS}{line}" for line in apparmor_grants.to_lines(grants)),
        *(f"# This kernel does not mediate {what}." for what in unmediated),
        f"abi <abi/{dialect.abi}>,",
        "include <tunables/global>",
        f"profile {quoted(name)} flags=({_FLAGS}) {{",
    ]
    files = (_reading(), _writing(grants), _executing(grants))
    parts = (*files, _network(grants, dialect), _others(name), _nothing(grants, dialect))
    body = [f"  {line}" if line else "" for part in parts for line in (*part, "")]
    return "\n".join((*head, *body, f"  include if exists <local/{name}>", "}", ""))


def _check(name: str, paths: tuple[str, ...]) -> None:
    """Refuse what cannot be spelt in a profile, and the one name that is the launcher's."""
    if name == "launcher":
        raise ProfileError(f"profile {name}: its AppArmor profile would have the launcher's name", hints=["rename it"])
    for path in paths:
        if not path.isprintable():
            raise ProfileError(f"profile {name}: {path!r} cannot be spelt in an AppArmor profile", hints=["rename the folder"])


def outside(places: tuple[str, ...]) -> str:
    """Return a pattern for every absolute path that is none of these places and lies below none of them."""
    return "/" + _alternatives(tuple(sorted(place[1:] for place in places)))


def _alternatives(rests: tuple[str, ...]) -> str:
    """Return a pattern for what does not go on as one of these words, to its end or to a `/`."""
    firsts = sorted({rest[0] for rest in rests if rest})
    ended = "" in rests
    stop = [] if ended else [""]
    other = f"[^{''.join(firsts)}{'/' if ended and '/' not in firsts else ''}]**"
    branches = [first + _alternatives(tuple(rest[1:] for rest in rests if rest[:1] == first)) for first in firsts]
    choices = [*stop, other, *branches]
    return choices[0] if len(choices) == 1 else "{" + ",".join(choices) + "}"


def _reading() -> list[str]:
    shown = sorted(PROC_SHOWN - {"self", "thread-self", "sys", "net", "mounts"})
    return [
        "# Reading, and locking what may be read: all that can be shown.",
        f'"{outside(apparmor_grants.NOT_SHOWN)}" rk,',
        "/proc/ r,",
        f"/proc/{{{','.join(shown)}}} r,",
        "/proc/sys/{,**} r,",
        "/proc/[0-9]*/{,**} r,",
        "/dev/{,pts/,shm/} r,",
        "/dev/{random,urandom} r,",
    ]


def _writing(grants: Grants) -> list[str]:
    return [
        "# Writing: nothing of the system's folders, of /proc and /sys.",
        f'"{outside(apparmor_grants.SYSTEM)}" wl,',
        "/dev/{null,zero,full,random,urandom,tty,ptmx,pts/*} rw,",
        *(_below(path, "rwkl") for path in grants.write),
    ]


def _executing(grants: Grants) -> list[str]:
    refused = tuple(path for path in grants.private if set(path) <= _PLAIN)
    where = outside((*apparmor_grants.NOT_SHOWN, *refused))
    if grants.execute == "none":
        return ["# Executing: nothing after the first program, whose libraries are mapped.", f'"{where}" m,']
    lines = ["# Executing, with these same rules.", f'"{where}" mrix,']
    return lines + [_below(path, "mrix") for path in grants.write if grants.execute == "any"]


def _below(path: str, permissions: str) -> str:
    return f'{quoted(path)[:-1]}{{,/**}}" {permissions},'


def _network(grants: Grants, dialect: Dialect) -> list[str]:
    lines = ["# Sockets: Unix ones" + ("." if grants.sockets else ", and of them connected pairs only."), "network unix,"]
    if not grants.sockets and "af_unix" in dialect.features:
        lines.append("audit deny unix (bind, listen, accept, connect),")
    return lines if grants.network == "none" else [*lines, *_INET, "network netlink raw,"]


def _others(name: str) -> list[str]:
    peer = f'peer="{{,**//&}}{name}{{,//&**}}"'
    return [
        "# Other processes: those of the jail, whatever this profile is stacked on. From outside: signals, and ps.",
        f"signal (send) {peer},",
        "signal (receive),",
        f"ptrace (read, trace, tracedby) {peer},",
        "ptrace (readby),",
    ]


def _nothing(grants: Grants, dialect: Dialect) -> list[str]:
    kinds = (*_NEWER, ("posix_mqueue", "mqueue," if grants.queues else "audit deny mqueue,", "POSIX message queues"))
    known = [rule for word, rule, _ in kinds if word in dialect.features]
    unknown = [f"# ABI {dialect.abi} has no rules for {what}." for word, _, what in kinds if word not in dialect.features]
    always = [f"audit deny {what}," for what in ("capability", "mount", "remount", "umount", "pivot_root")]
    return ["# Never.", *always, *known, *unknown]
