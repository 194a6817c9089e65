"""cgroup version 2 below real systemd: how a run gets its group, what holds in it, and what a fault of the host does to it."""

from __future__ import annotations

import json

import pytest

from tests.vm.test_places import NO_MANAGER, container, refused, service, worked

pytestmark = pytest.mark.in_turn
FAKE = """mkdir -p /tmp/fake; python3 /srv/jailpy/tests/fake_bus.py {behaviour} /tmp/fake/bus {group} >/tmp/fake/out 2>&1 &
until grep -q ready /tmp/fake/out; do sleep 0.1; done; {more} mount --bind /tmp/fake/bus /run/user/1000/bus
"""
NOTHING = "find /sys/fs/cgroup -name 'jailpy-*' | grep -v -- '-0$' || echo 'nothing left'\n"
BARE_GROUP = "mkdir /sys/fs/cgroup/bare; echo -memory -pids -cpu >/sys/fs/cgroup/bare/cgroup.subtree_control;"


def report(out):
    """Return the report in an output; nothing else in it has braces."""
    return json.loads(out[out.index("{") : out.rindex("}") + 1])


def test_init_is_born_in_its_group(guest):
    """CLONE_INTO_CGROUP, and nobody moves it afterwards: the launcher alone writes to a cgroup.procs, of its leaf."""
    command = "strace -f -e trace=clone3,openat -o /tmp/trace jailpy exec -- true"
    done = guest.run(f"{command}; echo status $?; grep -E 'CLONE_INTO_CGROUP|cgroup.procs.*O_WRONLY' /tmp/trace")
    status, *lines = done.out.splitlines()
    assert status == "status 0", done.err
    born = [line for line in lines if "CLONE_INTO_CGROUP" in line]
    assert len(born) == 1
    assert "CLONE_NEWPID" in born[0]
    written = [line.split('"')[1] for line in lines if "cgroup.procs" in line]
    assert [path.rsplit("/", 2)[1].rpartition("-")[2] for path in written] == ["0"], written


LIMITS = """jailpy exec --memory 64M --processes 7 --cpus 0.5 --wall 100 -- sh -c 'echo up; sleep 60' >/tmp/up & pid=$!
until grep -q up /tmp/up; do sleep 0.1; done
group=$(find /sys/fs/cgroup/user.slice -name 'jailpy-*-1' | head -1)
cd $group && head memory.max memory.swap.max memory.oom.group pids.max cpu.max
cat /proc/$(head -1 cgroup.procs)/cgroup; kill $pid; wait
"""


def test_limits_stand_in_a_group_of_its_own(guest):
    done = guest.run(LIMITS)
    words = done.out.split()
    for file, value in (
        ("memory.max", "67108864"), ("memory.swap.max", "0"), ("memory.oom.group", "1"), ("pids.max", "8"), ("cpu.max", "50000"),
    ):  # fmt: skip
        assert words[words.index(file) + 2] == value, done.out + done.err


def test_evidence_comes_from_the_group(guest):
    hog = "jailpy exec --memory 32M --report /tmp/a -- perl -e '$x = \"x\" x 100_000_000'; echo $?; cat /tmp/a"
    memory = report(guest.run(hog).out)
    assert memory["verdict"] == "memory_limit"
    assert memory["evidence"]["source"].startswith("memory.events oom_kill=")
    assert memory["usage"]["sources"]["memory_peak_bytes"] == "cgroup2 memory.peak"
    assert {"anon", "file", "shmem", "kernel"} <= set(memory["usage"]["memory"])
    bomb = (
        "jailpy exec --processes 5 --report /tmp/a -- perl -e 'for (1..20) { defined(my $p = fork) or exit 3; $p or sleep 9 }'"
    )
    tasks = report(guest.run(f"{bomb}; cat /tmp/a").out)
    assert tasks["verdict"] == "process_limit"
    assert tasks["evidence"]["source"].startswith("pids.events max=")
    assert tasks["usage"]["processes_peak"] == 5
    assert tasks["usage"]["sources"]["cpu_s"] == "cgroup2 cpu.stat"


HUGE = """cat >/tmp/huge.py <<'X'
import errno, mmap, sys
kept = []
try:
    while len(kept) < 60:
        kept.append(mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | int(sys.argv[1], 0)))
        kept[-1][0] = 1
except OSError as error:
    print(errno.errorcode[error.errno])
print(len(kept))
X
echo $(python3 /tmp/huge.py 0x40000)
echo $(jailpy exec --memory 32M --put /tmp/huge.py -- python3 huge.py 0x40000)
echo $(jailpy exec --memory 256M --put /tmp/huge.py -- python3 huge.py 0)
"""


def test_huge_pages_are_not_to_be_had(guest):
    """No memory limit counts them: 120 MB were had within 32. The controls: without a jail, and pages of the usual size."""
    done = guest.run(HUGE, before="sysctl -w vm.nr_hugepages=64")
    assert done.out.splitlines() == ["60", "ENOMEM 0", "60"], done.out + done.err


STAYS = """for scope in $(systemctl --user list-units --plain --no-legend --type scope | cut -d' ' -f1); do
    case $scope in init.scope) ;; *) systemctl --user stop $scope ;; esac
done
systemd-run --user --scope -q -p Delegate=yes sleep 25 & scope=$!
until grep -qw cpu /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/cgroup.subtree_control; do sleep 0.1; done
jailpy exec --wall 300 --cpus 0.5 -- sh -c 'echo up; sleep 200' >/tmp/up 2>/tmp/err & pid=$!
until grep -q up /tmp/up; do sleep 0.1; done
wait $scope; sleep 3; systemctl --user daemon-reload
cat $(find /sys/fs/cgroup/user.slice -path '*jailpy-*-1/cpu.max')
kill $pid; wait
"""


def test_limits_stay_when_other_units_end(guest):
    """In app.slice itself cpu.max went away with the last unit that wanted the cpu controller (docs/adr/0003)."""
    done = guest.run(STAYS, mode="login")
    assert done.out.split() == ["50000", "100000"], done.out + done.err


def at_once(number, extra=""):
    """Start launchers at the same time; say each one's status."""
    return f"""for i in $(seq {number}); do (jailpy exec {extra} -- sh -c 'sleep 1; echo ran'; echo "status $?") & done; wait
"""


def test_launchers_at_once_in_scopes(guest):
    done = guest.run(at_once(4) + NOTHING)
    assert done.out.count("ran\n") == done.out.count("status 0\n") == 4, done.err
    assert "nothing left" in done.out


WARM = """python3 -c '
import concurrent.futures, glob, jailpy
with jailpy.Launcher() as launcher, concurrent.futures.ThreadPoolExecutor(8) as threads:
    reports = list(threads.map(lambda _: launcher.run(["sleep", "3"]), range(8)))
    server = launcher._server._process.pid
    print(*[report.verdict for report in reports])
    print(len(open(f"/proc/{server}/task/{server}/children").read().split()))
    print(len(glob.glob("/sys/fs/cgroup/**/jailpy-*.scope", recursive=True)))
'
"""


@pytest.mark.parametrize("mode", ["login", "root"])
def test_the_workers_of_a_launcher_share_a_scope(guest, mode):
    done = guest.run(WARM, mode=mode)
    ended, workers, scopes = done.out.splitlines()
    assert ended.split() == ["ok"] * 8, done.err
    assert int(workers) > 1, "control: there are several"
    assert scopes == "1"


def test_launchers_at_once_in_one_delegated_group(guest):
    """All of them find the controllers not enabled yet, or just enabled by another."""
    if guest.facts["systemd"] >= 254:
        script = service(at_once(4) + NOTHING, "Delegate=yes", "DelegateSubgroup=main")
    else:
        leave = "cd /sys/fs/cgroup/system.slice/judge.service; mkdir main; for pid in $(cat cgroup.procs); do echo $pid >main/cgroup.procs; done;"
        script = service(f"{leave} cd /; {at_once(4)}{NOTHING}", "Delegate=yes")
    done = guest.run(NO_MANAGER + script, mode="root")
    assert done.out.count("ran\n") == done.out.count("status 0\n") == 4, done.err
    assert "nothing left" in done.out


KILLED = """jailpy exec --wall 100 -- sh -c 'echo up; sleep 99' >/tmp/up & pid=$!
until grep -q up /tmp/up; do sleep 0.1; done
find /sys/fs/cgroup -name 'jailpy-*' | wc -l; kill -9 $pid; wait
"""


def test_leftovers_of_a_killed_launcher(guest):
    """systemd takes an empty scope away; in a delegated group of its own the next start does."""
    done = guest.run(
        KILLED
        + "for i in $(seq 100); do find /sys/fs/cgroup -name 'jailpy-*' | grep -q . || break; sleep 0.1; done\n"
        + NOTHING
    )
    count, left = done.out.splitlines()
    assert int(count) > 1
    assert left == "nothing left"
    alone = container(
        f'mkdir /sys/fs/cgroup/main; echo $$ >/sys/fs/cgroup/main/cgroup.procs; {KILLED} find /sys/fs/cgroup -name "jailpy-*" | wc -l; jailpy exec -- true; {NOTHING}'
    )
    done = guest.run(service(f"exec {alone}", "Delegate=yes", uid=0), mode="root")
    count, before, after = done.out.splitlines()
    assert int(count) >= 1
    assert int(before) >= 1, "the control: there was something to collect"
    assert after == "nothing left"


IO = """mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' >/etc/systemd/system/user@.service.d/zz-jailpy.conf
systemctl daemon-reload; systemctl restart user@1000; until test -S /run/user/1000/bus; do sleep 0.1; done
dd if=/dev/zero of=/home/lab/data bs=1M count=6 2>/dev/null; chown lab /home/lab/data; sync
"""
READ = "--ro /home/lab/data --report /tmp/io-{name} -- dd if=/home/lab/data of=/dev/null bs=256K iflag=direct 2>/dev/null; echo status $?; cat /tmp/io-{name}\n"


def test_io_is_limited_where_it_is_delegated(guest):
    words = service("jailpy exec --set limits.io=1M " + READ.replace("{name}", "slow"))
    slow = guest.run(IO + words, mode="root")
    assert "status 0\n" in slow.out, slow.out + slow.err
    found = report(slow.out)
    assert "io" in next(layer for layer in found["layers"] if layer["name"] == "cgroup")["mechanism"]
    assert found["usage"]["io_read_bytes"] >= 6 << 20
    assert found["usage"]["wall_s"] > 4, "six megabytes at one a second"
    fast = report(guest.run(IO + service("jailpy exec " + READ.replace("{name}", "fast")), mode="root").out)
    assert fast["usage"]["wall_s"] < found["usage"]["wall_s"] / 2, "the control: without a limit"


def test_io_that_is_not_delegated_is_refused(guest):
    done = guest.run("jailpy exec --set limits.io=50M -- true; echo status $?", mode="login")
    refused(done, "the io controller is missing: systemd does not delegate the io controller to user sessions")


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("closed", "/run/user/1000/bus: Connection refused"),
        ("silent", "/run/user/1000/bus: no answer within 5 s"),
        ("refuse", "Access denied"),
        ("lie", "promised a scope and did not move the launcher there"),
        ("bare", "the scope that systemd made has no memory"),
    ],
)
def test_a_bus_that_misbehaves(guest, behaviour, words):
    before = FAKE.format(behaviour=behaviour, group="/sys/fs/cgroup/bare", more=BARE_GROUP if behaviour == "bare" else "")
    script = "date +%s; jailpy exec -- sh -c 'echo ran'; echo status $?; date +%s\n" + NOTHING
    done = guest.run(script, mode="login", before=before)
    refused(done, "cgroup: could not ask systemd for a delegated scope", words)
    first, *_, last = [int(word) for word in done.out.split() if word.isdecimal() and len(word) > 6]
    assert last - first < 60, "five seconds, on a machine that is twenty times slower"
    if behaviour != "bare":
        assert "nothing left" in done.out


def test_no_bus(guest):
    before = "mount -t tmpfs none /run/user/1000"
    done = guest.run("jailpy exec -- sh -c 'echo ran'; echo status $?", mode="login", before=before)
    refused(done, "has no D-Bus socket /run/user/1000/bus")


OTHERS = """python3 -c '
import os, subprocess
from jailpy import api
plan = api.plan(api.Request(argv=("true",)))
print(plan.steps[0].describe())
{fault}
try:
    api.run(plan, (), (-1, 1, 2))
    print("ran")
except Exception as error:
    print(type(error).__name__, error, *error.hints)
'
"""


def between(guest, fault):
    """Let something happen between the plan and the launch, in a delegated group of its own."""
    return guest.run(NO_MANAGER + service("exec " + OTHERS.replace("{fault}", fault), "Delegate=yes", uid=0), mode="root")


def test_a_process_that_comes_into_the_group_meanwhile(guest):
    done = between(guest, 'other = subprocess.Popen(["sleep", "100"])')
    assert "move the launcher to a leaf of /sys/fs/cgroup/system.slice/judge.service" in done.out
    assert "LaunchError cgroup: could not move the launcher to a leaf" in done.out, done.out + done.err
    assert "Device or resource busy" in done.out
    assert "DelegateSubgroup=" in done.out


@pytest.mark.parametrize("file", ["cgroup.max.descendants", "cgroup.max.depth"])
def test_no_more_groups_are_allowed(guest, file):
    done = between(guest, f'print("0", file=open("/sys/fs/cgroup/system.slice/judge.service/{file}", "w"), flush=True)')
    assert "LaunchError cgroup: could not" in done.out, done.out + done.err
    assert "cgroup.max.descendants, cgroup.max.depth" in done.out
    assert "ran" not in done.out.split()


def test_a_tighter_limit_around_is_told(guest):
    """It acts first; the verdict and its evidence are the run's own."""
    script = "exec jailpy exec --memory 200M --report /tmp/tight -- true"
    done = guest.run(NO_MANAGER + service(script, "Delegate=yes", "MemoryMax=150M") + "cat /tmp/tight", mode="root")
    found = report(done.out)
    assert found["verdict"] == "ok"
    assert any("memory.max of /sys/fs/cgroup/system.slice/judge.service is 157286400: lower" in note for note in found["notes"])


def test_too_few_processes_around(guest):
    done = guest.run(
        NO_MANAGER + service("exec jailpy exec -- true", "Delegate=yes", "TasksMax=1") + "echo status $?", mode="root"
    )
    refused(done, "pids.max of its cgroup")


def test_a_foreign_owned_tree(guest):
    """The user manager's group belongs to somebody else: nothing could be made there."""
    manager = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"
    done = guest.run("jailpy exec -- sh -c 'echo ran'; echo status $?", mode="login", before=f"chown -R 0:0 {manager}")
    refused(done, f"{manager} does not belong to uid 1000")
    control = guest.run(
        "jailpy exec --report /tmp/a-look -- sh -c 'echo ran'; echo status $?; cat /tmp/a-look; echo caller stayed",
        mode="login",
    )
    worked(control)
