"""One worker: a jail with a plugin in it, its descriptor, its logs, and its end. Used by one thread at a time."""

from __future__ import annotations

import os
import threading
from typing import Any

from jailpy.client.descriptors import pair
from jailpy.client.streams import PIPE, STDOUT
from jailpy.errors import JailPyError
from jailpy.services.plugins import wire
from jailpy.services.plugins.channel import Channel
from jailpy.services.plugins.clock import Clock, Meter
from jailpy.services.plugins.limits import violation
from jailpy.services.plugins.reuse import Reuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from jailpy.client.launcher import Launcher
    from jailpy.client.running import Running
    from jailpy.services.plugins.buffers import Buffer
    from jailpy.services.plugins.hosts import Calls
    from jailpy.services.plugins.logs import Logs
    from jailpy.services.plugins.recipe import Recipe

_CHUNK = 1 << 16
_END_S = 5.0
START_S = 30.0


class Worker:
    """A plugin that runs. `report` is that of its run, once `ended` is set; None where there is none."""

    def __init__(self, launcher: Launcher, recipe: Recipe, logs: Logs, cpus: float) -> None:
        self._bounds = recipe.bounds
        self._cpus = cpus
        self._logs = logs
        self.ended = threading.Event()
        self.report: dict[str, Any] | None = None
        self.error: JailPyError | None = None
        self.process = os.getpid()
        self.meter: Meter | None = None
        self.memory = Reuse()
        self._dropped = threading.Event()
        with launcher.forks_wait():  # a child with our end open would keep the plugin from seeing that the host is gone
            ours, theirs = pair()
            self.channel = Channel(ours, recipe.bounds.message)
            try:
                self._running = _started(launcher, recipe, theirs)
            except BaseException:
                ours.close()
                raise
            finally:
                theirs.close()
        threading.Thread(target=self._watch, args=(self._running,), name="jailpy-plugin", daemon=True).start()

    def greet(self) -> wire.Failure | None:
        """Wait until the plugin can be called; return the failure where it could not be loaded. Raises BrokenError."""
        wait = Clock(START_S, START_S, self._cpus, None).slice
        self.meter = Meter(self.channel.credentials(wait))
        found = wire.decode(self.channel.receive(wait), self._bounds)
        if isinstance(found, wire.Failure) and found.id == 0:
            return found
        if not isinstance(found, wire.Ready) or found.protocol != wire.VERSION:
            raise violation(f"its first message is not `ready` with protocol {wire.VERSION}")
        self.meter.expect_found()
        return None

    def clock(self, wall: float, cpu: float) -> Clock:
        """Start the clocks of a call."""
        return Clock(wall, cpu, self._cpus, self.meter)

    def converse(
        self, message: wire.Call | wire.Next | wire.Close, line: bytes, buffers: list[Buffer], clock: Clock, calls: Calls
    ) -> wire.Reply:
        """Send a call, answer the host calls that it leads to, return its reply. Raises BrokenError."""
        self.channel.expect_silence()
        self.channel.send(line, [buffer.descriptor() for buffer in buffers], clock.slice)
        while True:
            told = self.channel.receive(clock.slice)
            reply = wire.decode(told, self._bounds)
            if isinstance(reply, wire.Ready) or (reply.call if isinstance(reply, wire.Host) else reply.id) != message.id:
                raise violation("it answered out of turn")
            if not isinstance(reply, wire.Host):
                if buffers and isinstance(reply, wire.Result | wire.Failure) and reply.free:
                    self.memory.keep()
                return reply
            self.channel.expect_silence()
            self.channel.send(calls.answer(reply, len(told)), (), clock.slice)

    def kill(self) -> None:
        """Kill the jail, from any thread; its watcher takes the report. Never waits."""
        self._running.kill()
        self.channel.shut()

    def drop(self) -> None:
        """Kill the jail and give the descriptor up; only for who uses the worker. Never waits."""
        self.kill()
        self._dropped.set()
        self.memory.close()

    def how(self) -> str:
        """Say how the run ended, once it has; wait a little for that."""
        if not self.ended.wait(_END_S):
            return "it has not ended yet"
        if self.error:
            return self.error.message
        report = self.report or {}
        evidence = report.get("evidence") or {}
        source = f" ({evidence['source']})" if evidence.get("source") else ""
        return f"{report.get('verdict')}{source}"

    def disown(self) -> None:
        """In a forked child: close what belongs to the parent, whose worker goes on."""
        self.channel.close()
        self.memory.disown()

    def _watch(self, running: Running) -> None:
        """Read what the plugin prints until it ends, then take its report."""
        assert running.stdout
        with running.stdout as pipe:
            while True:
                chunk = os.read(pipe.fileno(), _CHUNK)
                self._logs.feed(chunk)
                if not chunk:
                    break
        try:
            self.report = running.wait().report()
        except JailPyError as error:
            self.error = error
        self.ended.set()
        self._dropped.wait()
        self.channel.close()


def _started(launcher: Launcher, recipe: Recipe, theirs: socket.socket) -> Running:
    number = theirs.fileno()
    options = {**recipe.options, "env": recipe.env(number), "pass_fds": [number]}
    return launcher.popen(recipe.argv(number), stdout=PIPE, stderr=STDOUT, **options)
