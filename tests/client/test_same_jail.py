"""The same plan gives the same jail, cold, warm and pooled: what the kernel says of the payloads is the same."""

import fcntl
import json
import os
import subprocess
import sys

import pytest

import jailpy
from tests.client.test_pool import filled
from tests.core import PYTHON, eventually

pytestmark = pytest.mark.usefixtures("nothing_left")
LOOK = r"""
import ctypes, errno, json, os, re, resource, sys
def status():
    with open("/proc/self/status") as file:
        lines = dict(line.rstrip("\n").split(":", 1) for line in file)
    moving = re.compile("^(Vm|Rss|.*ctxt_switches|HugetlbPages|CoreDumping|Mems|Cpus|Threads|SigQ|x86_)")
    return {name: value.split() for name, value in lines.items() if not moving.match(name)}
def mounts():
    with open("/proc/self/mountinfo") as file:
        fields = [re.sub("id=[0-9]+", "id=OWN", line).split() for line in file]  # root takes an unused uid for each launcher
    return sorted([each[3:6] + each[each.index("-") + 1:] for each in fields])
def refused(act):
    try:
        act()
    except OSError as error:
        return error.errno
    return 0
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    return ctypes.get_errno() if libc.syscall(number, *args) == -1 else 0
print(json.dumps({
    "status": status(), "mounts": mounts(), "limits": open("/proc/self/limits").read(),
    "ids": [os.getresuid(), os.getresgid(), os.getgroups(), os.getpid(), os.getsid(0), os.getpgid(0)],
    "maps": [open("/proc/self/" + name).read().split()[::2] for name in ("uid_map", "gid_map")],
    "nesting": open("/proc/sys/user/max_user_namespaces").read(),
    "cgroup": re.sub("jailpy-[0-9-]+", "GROUP", open("/proc/self/cgroup").read()),
    "files": sorted(os.listdir("/proc/self/fd")), "environment": dict(os.environ), "folder": os.getcwd(), "umask": os.umask(0),
    "root": sorted(os.listdir("/")), "proc": sorted(name for name in os.listdir("/proc") if not name.isdigit()),
    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()), "devices": sorted(os.listdir("/dev")),
    "host": os.uname().nodename, "interfaces": open("/proc/net/dev").read().split(":")[0].split()[-1],
    "empty": [sorted(os.listdir(path)) for path in ("/work", "/tmp", "/dev/shm")],
    "landlock": refused(lambda: open("/.landlock")), "ptrace": call(101, 0, 0, 0, 0), "clone3": call(435, 0, 0),
    "keyctl": call(250, 0, -3, 0), "unshare": call(272, 0x10000000), "mount": call(165, 0, 0, 0, 0, 0),
    "write": [refused(lambda: open(path, "w")) for path in ("/usr/x", "/etc/x", "/x", "/proc/sys/x", "/dev/x")],
    "arguments": sys.argv[1:],
}))
"""


def cold(*words, options=(), command=(PYTHON, "-I", "-c", LOOK)):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "jailpy", "exec", *options, "--", *command, *words],
        capture_output=True, env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(jailpy.__file__))}, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.fixture
def launcher():
    with jailpy.Launcher() as made:
        yield made


def warm(launcher, *words):
    return json.loads(launcher.run([PYTHON, "-I", "-c", LOOK, *words], check=True).stdout)


def test_cold_and_warm_payloads_look_the_same_to_the_kernel(launcher):
    first = cold("a")
    for _ in range(3):
        second = warm(launcher, "a")
        for name, seen in first.items():
            assert second[name] == seen, name
    assert first["status"]["Seccomp"] == ["2"]
    assert first["landlock"] != 0
    assert first != warm(launcher, "b")


def test_cold_and_pooled_payloads_look_the_same_to_the_kernel():
    first = cold("a")
    with jailpy.Launcher(pool=2) as launcher:
        launcher.run(["/usr/bin/true"], check=True)
        for _ in range(3):
            filled(launcher)
            second = warm(launcher, "a")
            for name, seen in first.items():
                assert second[name] == seen, name
        assert launcher.stats()["pooled"] > 0


NS_GET_USERNS, NS_GET_OWNER_UID = 0xB701, 0xB704


def namespaces(pid):
    """Return for each kind of namespace of a process whether it is the host's, and whose it is. See ioctl_ns(2)."""
    own = os.stat(f"/proc/{pid}/ns/user").st_ino
    found = {}
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"):
        number = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
        shared = os.stat(number).st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino
        if kind == "user":
            owner = int.from_bytes(fcntl.ioctl(number, NS_GET_OWNER_UID, b"\0" * 4), sys.byteorder)
        elif shared:
            owner = None
        else:
            holder = fcntl.ioctl(number, NS_GET_USERNS)
            owner = "the jail's" if os.stat(holder).st_ino == own else "another"
            os.close(holder)
        os.close(number)
        found[kind] = (shared, owner)
    return found


def payload_of(word):
    """Find the process of the jail that has a word in its command line."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if file.read().split(b"\0")[:2] == [b"/usr/bin/sleep", word.encode()]:
                    return int(pid)
        except OSError:
            continue
    return 0


def seen_from_outside(word):
    assert eventually(lambda: payload_of(word))
    return namespaces(payload_of(word))


def test_namespaces_are_of_the_same_kinds_and_owners():
    command = [sys.executable, "-P", "-m", "jailpy", "exec", "--", "/usr/bin/sleep", "71.1"]
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(jailpy.__file__))}
    with subprocess.Popen(command, env=environment) as process:
        try:
            first = seen_from_outside("71.1")
        finally:
            process.terminate()
    assert {kind for kind, (shared, _) in first.items() if shared} == {"time"}
    assert {owner for kind, (_, owner) in first.items() if kind not in ("time", "user")} == {"the jail's"}
    with jailpy.Launcher(pool=1) as launcher:
        for word, from_pool in (("71.2", False), ("71.3", True)):
            before = launcher.stats()["pooled"]
            with launcher.popen(["/usr/bin/sleep", word]) as running:
                assert seen_from_outside(word) == first
                running.terminate()
                running.wait()
            assert launcher.stats()["pooled"] - before == from_pool
            launcher.run(["/usr/bin/true"], check=True)
            filled(launcher, 1)


def test_a_script_of_a_warm_interpreter_looks_the_same_to_the_kernel(launcher, tmp_path):
    script = tmp_path / "look.py"
    script.write_text(LOOK)
    first = cold("a", options=["--put", str(script)], command=[PYTHON, "look.py"])
    for preload in ((), ["json", "ctypes"]):
        for _ in range(2):
            second = json.loads(launcher.python(script, ["a"], preload=preload, interpreter=PYTHON, check=True).stdout)
            for name, seen in first.items():
                assert second[name] == seen, name
    assert first["status"]["Name"] == ["python3"]
    assert first["empty"][0] == ["look.py"]
    assert first["arguments"] == ["a"]


def test_nothing_of_a_run_is_seen_by_the_next(launcher):
    marker = "marker-of-the-first-run"
    leave = f"""
import os, sys
for folder in ("/work", "/tmp", "/dev/shm"):
    open(folder + "/{marker}", "w").write("{marker}")
os.environ["{marker}"] = "x"
print(os.environ["SECRET"])
"""
    assert launcher.run([PYTHON, "-I", "-c", leave], env={"SECRET": marker}, text=True, check=True).stdout == marker + "\n"
    search = f"""
import os
found = [os.path.join(top, name) for top, folders, names in os.walk("/") for name in names + folders if "{marker[:6]}-of" in name]
for name in ("environ", "cmdline", "maps", "mountinfo", "cgroup", "status"):
    for pid in ("self", "1"):
        try:
            text = open("/proc/%s/%s" % (pid, name), "rb").read()
        except OSError:
            continue
        if name != "cmdline" and b"SECRET" in text:
            found.append(pid + name)
print(found)
"""
    assert launcher.run([PYTHON, "-I", "-c", search], text=True, check=True, wall="60s", cpu="60s").stdout == "[]\n"


def test_random_numbers_differ_between_clones(launcher):
    draw = [PYTHON, "-I", "-c", "import os, random; print(os.urandom(8).hex(), random.random(), hash('x'))"]
    drawn = [launcher.run(draw, check=True).stdout.split() for _ in range(5)]
    for numbers in zip(*drawn, strict=True):
        assert len(set(numbers)) == 5


def test_a_template_that_is_killed_is_made_again(launcher):
    assert launcher.run(["/usr/bin/true"]).verdict == "ok"
    killed = templates(launcher)
    assert killed
    for pid in killed:
        os.kill(pid, 9)
    assert eventually(lambda: not templates(launcher))
    assert launcher.run(["/usr/bin/true"]).verdict == "ok"
    assert templates(launcher)


def templates(launcher):
    """Return the pids of a launcher's template processes: grandchildren of its server in a user namespace of their own."""
    found = []
    for worker in children(launcher._server._process.pid):
        for pid in children(worker):
            try:
                with open(f"/proc/{pid}/stat") as file:
                    dead = file.read().rpartition(")")[2].split()[0] in "ZX"
                if not dead and os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
                    found.append(pid)
            except OSError:
                continue
    return found


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]
