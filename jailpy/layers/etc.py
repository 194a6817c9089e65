"""The files of the jail's own /etc: what programs look up about users and names. Parent side, pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.layers import Context

_NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files{dns}\nservices: files\nprotocols: files\n"


def files(context: Context) -> tuple[tuple[str, bytes], ...]:
    """Return (name, content) of each generated file."""
    identity, network = context.profile.identity, context.profile.network.mode
    home = dict(context.command.environment).get("HOME", "/")
    lines = {
        "passwd": f"root:x:0:0:root:/:/bin/sh\njail:x:{identity.uid}:{identity.gid}:jail:{home}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/:/bin/false\n",
        "group": f"root:x:0:\njail:x:{identity.gid}:\nnogroup:x:65534:\n",
        "hosts": f"127.0.0.1 localhost {identity.hostname}\n::1 localhost {identity.hostname}\n",
        "hostname": f"{identity.hostname}\n",
        "nsswitch.conf": _NSSWITCH.format(dns=" dns" if network == "host" else ""),
    }
    if network == "host":
        lines["resolv.conf"] = context.host.resolv_conf
    return tuple((name, text.encode(errors="surrogateescape")) for name, text in lines.items())
