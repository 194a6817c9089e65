"""Runs in a guest as a service of root: takes jobs from the host over a virtio-serial port.

A job is a length (4 bytes, big endian), a JSON object, and the bytes of an archive if the object says so. Answers are
frames: kind (1 byte), length (4 bytes), bytes. `R` ready, `o` and `e` output, `b` and `a` output of the scripts before and
after, `x` the end as JSON.

`install` puts the tree under test into place and starts one waiting process for each mode; the guest is then saved. `run`
comes to a resumed copy of it.
"""

import fcntl
import json
import os
import selectors
import struct
import subprocess
import time

PORT = "/dev/virtio-ports/lab"
RNDADDENTROPY, RNDRESEEDCRNG = 0x40085203, 0x5207  # random(4)
CHUNK = 1 << 18
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ROOT = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash"}
USER = {
    **ROOT, "HOME": "/home/lab", "USER": "lab", "LOGNAME": "lab",
    "XDG_RUNTIME_DIR": "/run/user/1000", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus",
}  # fmt: skip
AS_USER = {"env": USER, "user": 1000, "group": 1000, "extra_groups": [], "cwd": "/home/lab"}
AS_ROOT = {"env": ROOT, "cwd": "/root"}
# The process that waits becomes the command: a user session need not be opened once the guest is resumed.
WAITING = """import json, os, sys
job = json.loads(sys.stdin.readline())
os.dup2(os.open("/dev/null", 0), 0)
os.execv("/bin/sh", ["sh", "-c", job["command"]])
"""
SCOPE = ["systemd-run", "--user", "--quiet", "--scope", "--collect", "-p", "Delegate=yes", "--"]
LOGIN = ["runuser", "-l", "lab", "-c", 'exec "$0" "$@"', "--"]
MODES = {"root": ([], AS_ROOT), "login": (LOGIN, AS_ROOT), "user": (SCOPE, AS_USER)}


class Port:
    """The line to the host."""

    def __init__(self):
        while not os.path.exists(PORT):
            time.sleep(0.02)
        self.fd = os.open(PORT, os.O_RDWR)

    def send(self, kind, data=b""):
        frame = struct.pack(">cI", kind, len(data)) + data
        while frame:
            frame = frame[os.write(self.fd, frame) :]

    def receive(self, length):
        data = b""
        while len(data) < length:
            got = os.read(self.fd, min(length - len(data), CHUNK))
            if not got:
                time.sleep(0.01)  # nobody holds the other end yet
            data += got
        return data

    def job(self):
        (length,) = struct.unpack(">I", self.receive(4))
        return json.loads(self.receive(length))


def wake(job):
    """Set the clock, and stir the random numbers: every resumed copy would draw the same ones."""
    time.clock_settime(time.CLOCK_REALTIME, job["time"])
    seed = bytes.fromhex(job["seed"])
    with open("/dev/random", "wb", 0) as random:
        fcntl.ioctl(random, RNDADDENTROPY, struct.pack("ii", len(seed) * 8, len(seed)) + seed)
        fcntl.ioctl(random, RNDRESEEDCRNG)


def script(text):
    """Run a script of root's. Returns its exit status and its output."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **AS_ROOT}
    done = subprocess.run(["sh", "-c", text], check=False, **options)
    return done.returncode, done.stdout


def unpack(port, length):
    """Extract an archive of the host's into /srv/jailpy, as files of root."""
    with subprocess.Popen(["tar", "-x", "--no-same-owner", "-C", "/srv/jailpy"], stdin=subprocess.PIPE) as tar:
        while length:
            data = port.receive(min(length, CHUNK))
            tar.stdin.write(data)
            length -= len(data)
    assert tar.returncode == 0


def waiting(mode):
    """Start the process that will become a command in this mode."""
    before, options = MODES[mode]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([*before, "/usr/bin/python3", "-S", "-E", "-c", WAITING], **pipes, **options)


def tell(process, command):
    """Let a waiting process become the command."""
    process.stdin.write(json.dumps({"command": command}).encode() + b"\n")
    process.stdin.flush()


def warm(command):
    """Run a command as the user, so that what it reads is in memory when the guest is saved. Returns its words if it failed."""
    process = waiting("user")
    tell(process, command)
    _, err = process.communicate()
    return err if process.returncode else b""


def install(port, job):
    """Put the tree into place, warm up, start the waiting processes. Returns them."""
    wake(job)
    unpack(port, job["length"])
    status, words = script(job["script"])
    for command in job["warm"]:
        words += warm(command)
    ready = {mode: waiting(mode) for mode in MODES}
    time.sleep(1.5)  # until each waits for its line
    os.sync()
    port.send(b"R", json.dumps({"status": status, "words": words.decode(errors="replace")}).encode())
    return ready


def forward(port, process):
    """Pass the output of a command on until nothing holds its pipes. Returns its exit status."""
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ, b"o")
    selector.register(process.stderr, selectors.EVENT_READ, b"e")
    while selector.get_map():
        for key, _ in selector.select():
            data = os.read(key.fd, CHUNK)
            if data:
                port.send(key.data, data)
            else:
                selector.unregister(key.fileobj)
    return process.wait()


def run(port, job, process):
    """Run one command between two scripts of root's; a script that fails ends the job."""
    wake(job)
    end = {"before": 0, "status": None, "after": 0}
    end["before"], words = script(job["before"])
    port.send(b"b", words)
    if end["before"] == 0:
        tell(process, job["command"])
        end["status"] = forward(port, process)
        end["after"], words = script(job["after"])
        port.send(b"a", words)
    port.send(b"x", json.dumps(end).encode())


def main():
    """Say that the guest is up; then take jobs."""
    port, ready = Port(), {}
    port.send(b"R", b"{}")
    while True:
        job = port.job()
        if job["do"] == "install":
            ready = install(port, job)
        else:
            run(port, job, ready[job["mode"]])


if __name__ == "__main__":
    main()
