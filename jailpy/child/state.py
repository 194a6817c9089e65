"""What the child carries from step to step."""

from __future__ import annotations

import marshal
import os

from jailpy.child import init, wire
from jailpy.kernel import files, messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Child:
    """Descriptors of the child: the set-up channel, the status pipe, stdio, and the mounts that are not attached yet.

    `reap` is what init does once the payload is forked. Without namespaces `work` is the path of the work folder,
    `variables` are those of the payload that follow from it, `top` is what becomes the root ("" for the host's own), and
    `owner` the run's own uid, 0 where it has none.
    """

    def __init__(self, channel: int, status: int, stdio: tuple[int, int, int], slots: dict[int, int], tasks: list[int]) -> None:
        self.channel = channel
        self.status = status
        self.stdio = stdio
        self.slots = slots
        self.tasks = tasks
        self.wipe = (0, 0)
        self.launchers_end = -1
        self.root = -1
        self.detail = 0
        self.terminal = False
        self.reap = init.reap
        self.work = ""
        self.top = ""
        self.owner = 0
        self.variables: dict[bytes, bytes] = {}

    def send(self, message: bytes) -> None:
        """Send one message by write(2), which every filter allows."""
        files.write_to(self.channel, message)

    def send_descriptor(self, kind: bytes, descriptor: int) -> None:
        """Send one message with a descriptor (SCM_RIGHTS, unix(7))."""
        messages.send_descriptor(self.channel, kind, descriptor)

    def wait(self) -> None:
        """Wait for the launcher's word. End of file means that it is gone: raise EOFError."""
        if os.read(self.channel, 16) != wire.GO:
            raise EOFError

    def command(self) -> Any:
        """Wait for the launcher's last word; return the command that came before it, None where none did."""
        parts = []
        while (part := os.read(self.channel, wire.PART_SIZE)) != wire.GO:
            if not part:
                raise EOFError
            parts.append(part[1:])
        return marshal.loads(b"".join(parts)) if parts else None  # noqa: S302 - from the launcher
