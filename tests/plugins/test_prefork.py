"""A plugin in gunicorn, a pre-fork server: made before the fork or after it; a killed worker takes its jail along."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from tests.core import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("nothing_left")
pytest.importorskip("gunicorn")
SOURCE = """
import time
state = 0

def bump():
    global state
    state += 1
    return state

def nap():
    time.sleep(600)
"""
APPLICATION = """
import os
import jailpy

plugin = jailpy.Plugin({folder!r}, manifest={{
    "schema": 1, "name": "served", "module": "served", "entries": ["bump", "nap"], "asks": {{"wall": "60s"}},
}})
if {early}:
    assert plugin.bump() == 1

def application(environ, start_response):
    entry = environ["PATH_INFO"].strip("/")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{{os.getpid()}} {{plugin.call(entry)}}".encode()]
"""


class Served:
    """A server with two workers, and its port."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def get(self, entry="bump"):
        """Return the pid of the worker that answered, and what the plugin said."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20 * PATIENCE)
        try:
            connection.request("GET", f"/{entry}")
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            pid, value = answer.read().split()
            return int(pid), int(value)
        finally:
            connection.close()

    def counts(self, workers=2):
        """Ask until so many workers have answered; return the last answer of each. Each counts alone, without a gap."""
        found, deadline = {}, time.monotonic() + 20 * PATIENCE
        while time.monotonic() < deadline:
            pid, value = self.get()
            assert value == found.get(pid, value - 1) + 1
            found[pid] = value
            if len(found) == workers and sum(found.values()) > 20:
                return found
        raise AssertionError(found)


def plugins(folder):
    """Return the pids of processes in jails that run a plugin of this name."""
    name = f"/{os.path.basename(folder)}".encode()
    found = {pid: words(pid) for pid in filter(str.isdigit, os.listdir("/proc"))}
    return [pid for pid, told in found.items() if b"/jailpy/inside.py" in told and name in told]


def words(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


@contextmanager
def served(folder, tmp_path, *, early):
    (tmp_path / "served_app.py").write_text(APPLICATION.format(folder=str(folder), early=early))
    command = [sys.executable, "-m", "gunicorn", "--workers=2", "--bind=127.0.0.1:0", "--worker-tmp-dir=/dev/shm"]
    command += ["--preload"] if early else []
    process = subprocess.Popen([*command, "served_app"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        said = ""
        while not (found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield Served(process, int(found[1]))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20 * PATIENCE) == 0
        process.stderr.close()


@pytest.mark.parametrize("early", [True, False], ids=["made before the fork", "made after it"])
def test_workers_of_a_server(make, tmp_path, early):
    folder = make(SOURCE, "bump", "nap", name="served")
    extra = int(early)  # the master's own
    with served(folder, tmp_path, early=early) as server:
        before = server.counts()
        assert eventually(lambda: len(plugins(folder)) == 2 + extra)
        jails = plugins(folder)
        victim = next(iter(before))
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: len(set(jails) & set(plugins(folder))) == 1 + extra)
        after = server.counts()
        assert victim not in after
        (kept,) = set(before) & set(after)
        assert after[kept] > before[kept]
        assert eventually(lambda: len(plugins(folder)) == 2 + extra)
    assert eventually(lambda: not plugins(folder))


def test_a_worker_that_is_killed_during_a_call(make, tmp_path):
    folder = make(SOURCE, "bump", "nap", name="served")
    with served(folder, tmp_path, early=True) as server:
        before = server.counts()
        errors = []

        def wait():
            try:
                server.get("nap")
            except (OSError, http.client.HTTPException) as error:
                errors.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        assert eventually(lambda: len({server.get()[0] for _ in range(30)}) == 1)
        (busy,) = set(before) - {server.get()[0]}
        os.kill(busy, signal.SIGKILL)
        thread.join(10 * PATIENCE)
        assert (len(errors), thread.is_alive()) == (1, False)
        assert busy not in server.counts()
    assert eventually(lambda: not plugins(folder))
