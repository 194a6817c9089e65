"""One QEMU process: booted, saved, or resumed from what was saved; and the line to the agent in its guest.

Always software emulation, so that a guest behaves the same on every host. QEMU's own words are in its QMP reference
(docs/interop/qmp-spec); `x-ignore-shared` leaves the RAM out of the saved state, for it is in a file already.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.vm.cache import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

QEMU = "qemu-system-x86_64"
RAM = "1536M"
# QEMU 7.2 gets cmpxchg16b wrong under Linux 6.12.
CPU = "max,-cx16"
COMMAND_LINE = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on systemd.show_status=0"
SECURITY = "apparmor=1 lsm=landlock,lockdown,yama,apparmor,bpf"
READY_S = 300


@dataclass(frozen=True)
class Saved:
    """A folder with a disk, the RAM, and the state of the devices; `image` has the kernel."""

    folder: str
    image: str
    append: str

    @property
    def disk(self) -> str:
        return f"{self.folder}/disk.qcow2"

    @property
    def ram(self) -> str:
        return f"{self.folder}/ram"

    @property
    def state(self) -> str:
        return f"{self.folder}/state"


class Machine:
    """A running guest.

    `keep`: write to the disk and RAM of `saved`, to be saved again; otherwise both are private copies that end with the machine.
    `resume`: go on from the saved state instead of booting.
    """

    def __init__(self, saved: Saved, *, keep: bool, resume: bool) -> None:
        self._folder = tempfile.mkdtemp(prefix="jailpy-vm-")
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start(saved, keep, resume)
        except BaseException:
            self.close()
            raise

    def _start(self, saved: Saved, keep: bool, resume: bool) -> None:
        listeners = {name: listen(f"{self._folder}/{name}") for name in ("port", "qmp")}
        command = [*arguments(saved, self._folder, keep), *(["-incoming", "defer"] if resume else [])]
        with open(f"{self._folder}/qemu.log", "wb") as log:
            # QEMU must not outlive us, whatever we die of.
            tied = ["setpriv", "--pdeathsig", "KILL", "--", *command]
            self._process = subprocess.Popen(tied, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.port, self._qmp = (listeners[name].accept()[0] for name in ("port", "qmp"))
        except TimeoutError:
            with open(f"{self._folder}/qemu.log", encoding="utf-8", errors="replace") as log:
                raise LabError(f"QEMU did not start: {log.read()}") from None
        finally:
            for listener in listeners.values():
                listener.close()
        self._control = self._qmp.makefile("rwb")
        self._control.readline()  # its greeting
        self.tell("qmp_capabilities")
        self.tell("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        if resume:
            self.tell("migrate-incoming", uri=f"exec:cat '{saved.state}'")
            self._migrated()
            self.tell("cont")

    def tell(self, command: str, **words: Any) -> Any:
        """Give QEMU a command. Raises LabError with what it says against it."""
        self._control.write(json.dumps({"execute": command, "arguments": words}).encode() + b"\n")
        self._control.flush()
        while True:
            answer = json.loads(self._control.readline() or b'{"error": "QEMU has ended"}')
            if "error" in answer:
                raise LabError(f"QEMU refused {command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def _migrated(self) -> None:
        while (status := self.tell("query-migrate").get("status")) != "completed":
            if status == "failed":
                raise LabError("QEMU could not save or resume the guest: run `python -m tests.vm clean`")
            time.sleep(0.005)

    def save(self, path: str) -> None:
        """Stop the guest, save the state of its devices, and end."""
        self.tell("stop")
        self.tell("migrate", uri=f"exec:cat >'{path}'")
        self._migrated()
        self.tell("quit")
        assert self._process
        self._process.wait(60)

    def send(self, job: dict[str, Any], data: bytes = b"") -> None:
        """Send a job to the agent, with the time and a seed of random numbers."""
        words = json.dumps({**job, "time": time.time(), "seed": os.urandom(32).hex()}).encode()
        self.port.settimeout(READY_S)
        self.port.sendall(struct.pack(">I", len(words)) + words + data)

    def frames(self, seconds: float) -> Iterator[tuple[bytes, bytes]]:
        """Yield the agent's answers. Raises TimeoutError after so many seconds in all, LabError where the guest is gone."""
        deadline = time.monotonic() + seconds
        while True:
            kind, length = struct.unpack(">cI", self._receive(5, deadline))
            yield kind, self._receive(length, deadline)

    def _receive(self, length: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < length:
            self.port.settimeout(max(0.001, deadline - time.monotonic()))
            got = self.port.recv(length - len(data))
            if not got:
                raise LabError(f"the guest is gone; its console:\n{self.console()}")
            data += got
        return bytes(data)

    def ready(self) -> dict[str, Any]:
        """Wait until the agent is ready. Returns what it has to say."""
        try:
            kind, data = next(self.frames(READY_S))
        except TimeoutError:
            raise LabError(f"the guest is not ready after {READY_S} s; its console:\n{self.console()}") from None
        assert kind == b"R"
        return dict(json.loads(data))

    def console(self) -> str:
        """Return the last lines of the guest's serial console."""
        with open(f"{self._folder}/console", encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-30:])

    def close(self) -> None:
        """End QEMU and remove what it left."""
        if self._process:
            self._process.kill()
            self._process.wait()
        for line in ("_control", "port", "_qmp"):
            with contextlib.suppress(AttributeError, OSError):
                getattr(self, line).close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def listen(path: str) -> socket.socket:
    """Make a Unix socket that QEMU connects to within 30 seconds."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    listener.settimeout(30)
    return listener


def arguments(saved: Saved, folder: str, keep: bool) -> list[str]:
    """Return the command of a machine: one processor, a disk, a serial console, and the agent's port. No network."""
    image = saved.image
    return [
        QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
        "-accel", "tcg", "-cpu", CPU, "-smp", "1", "-m", RAM, "-machine", "q35,vmport=off,memory-backend=ram",
        "-object", f"memory-backend-file,id=ram,size={RAM},mem-path={saved.ram},share={'on' if keep else 'off'}",
        "-kernel", f"{image}/vmlinuz", "-initrd", f"{image}/initrd",
        "-append", f"{COMMAND_LINE} {saved.append}",
        "-drive", f"if=none,id=disk,file={saved.disk},cache=unsafe,snapshot={'off' if keep else 'on'}",
        "-device", "virtio-blk-pci,drive=disk", "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=port,path={folder}/port", "-device", "virtserialport,chardev=port,name=lab",
        "-chardev", f"socket,id=qmp,path={folder}/qmp", "-mon", "chardev=qmp,mode=control",
        "-serial", f"file:{folder}/console",
    ]  # fmt: skip
