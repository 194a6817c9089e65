"""AppArmor in force: the payload stacked, what is denied, each fault, and the launcher's own profile."""

from __future__ import annotations

import json

import pytest

INSTALL = "jailpy apparmor install strict grade build\n"
DENIED = "journalctl -k -g DENIED --no-pager | grep apparmor= | tail -40; true"
LABEL = "cat /proc/self/attr/apparmor/current"
# A profile that denies nothing but what it does not name.
ALL = "file, network, capability, signal, ptrace, unix, mount, remount, umount, pivot_root, change_profile,"
NEWER = ("trixie", "trixie-bpo")  # kernels that mediate user namespaces, with a parser that knows them


def load(name, rules, abi="3.0", flags="attach_disconnected"):
    """Return root's script that loads a profile of the test's own."""
    text = f"abi <abi/{abi}>,\\nprofile {name} flags=({flags}) {{ {rules} }}\\n"
    return f"printf '{text}' >/tmp/{name} && apparmor_parser --replace --skip-cache /tmp/{name}\n"


def state(report):
    layers = {layer["name"]: layer for layer in json.loads(report)["layers"]}
    return layers["apparmor"]["state"], layers["apparmor"]["verified"] or layers["apparmor"]["mechanism"]


@pytest.mark.parametrize("mode", ["user", "root"])
def test_the_payload_is_stacked(guest, mode):
    run = f"jailpy exec --report /tmp/r -- {LABEL}; cat /tmp/r"
    done = guest.run(run, mode=mode, before=INSTALL, after=DENIED)
    assert done.status == 0, done.err
    label, report = done.out.split("\n", 1)
    assert label == "jailpy-strict//&unconfined (enforce)"
    assert state(report) == ("enforced", "the payload's label is jailpy-strict//&unconfined (enforce)")
    assert done.after == "", "nothing that strict does is denied"
    control = guest.run(run, mode=mode)
    assert control.out.startswith("unconfined\n")
    assert state(control.out.split("\n", 1)[1]) == ("absent", "no profile jailpy-strict is loaded")


SLOW = """cat >/tmp/slow.toml <<'END'
schema = 1
name = "slow"
extends = ["strict"]
[limits]
wall = "5m"
cpu = "5m"
END
"""


@pytest.mark.full
def test_selftest_holds_with_it(guest):
    """A profile of a user's own, by its path, with time for a guest that is emulated."""
    done = guest.run("jailpy selftest -p /tmp/slow.toml --json", before=f"{SLOW}jailpy apparmor install /tmp/slow.toml")
    found = json.loads(done.out)
    attacks = {attack["attack"]: attack for attack in found["attacks"]}
    assert attacks["keep_label"]["jail"] == "is confined by jailpy-slow//&unconfined (enforce)"
    assert {layer["name"]: layer["held"] for layer in found["layers"]}["apparmor"] is True
    assert (done.status, found["held"]) == (0, True), done.out


PROGRAMS = """cd /srv/jailpy/tests/programs
jailed() { jailpy exec --wall 5m --cpu 5m "$@"; }
for name in py_threads.py py_multiprocessing.py py_subprocess.py py_libraries.py py_asyncio.py; do
    jailed --ro $name:/work/$name -- python3 $name || echo "$name: status $?"
done
jailed --ro pipeline.sh:/work/pipeline.sh -- bash pipeline.sh || echo "pipeline.sh: status $?"
jailed --ro script.pl:/work/script.pl -- perl script.pl || echo "script.pl: status $?"
cd /tmp
jailed -p build --put /srv/jailpy/tests/programs/hello.c --get prog:prog -- gcc -pthread -o prog hello.c -lm || echo "gcc: status $?"
jailed -p grade --put prog -- ./prog argument || echo "prog: status $?"
jailed --ro prog -- ./prog shown || echo "prog: status $?"
cp -a /usr/lib/python3 tree; cp /usr/bin/env tree/
jailed --cow tree:/work/tree -- sh -c 'echo more >>tree/new; cat tree/new; /usr/bin/env -i tree/env true || echo noexec' || echo "cow: status $?"
jailed -p grade --cow tree:/work/tree -- sh -c 'tree/env echo from a layer' || echo "cow: status $?"
jailed --rw tree:/data -- sh -c 'echo x >/data/x && mv /data/x /data/y && ln /data/y /data/z && rm /data/y' || echo "rw: status $?"
jailed --tty -- sh -c 'test -t 0 && tty && stty size >/dev/null' || echo "tty: status $?"
echo in | jailed -- sh -c 'cat /dev/stdin >/dev/stdout; echo err >/dev/stderr; : >/dev/shm/x; flock /dev/shm/x true' || echo "streams: status $?"
"""


@pytest.mark.full
def test_real_programs_run_stacked(guest):
    """What runs under strict, grade and build without AppArmor runs with it, says the same, and meets no denial."""
    without = guest.run(PROGRAMS, timeout=900)
    stacked = guest.run(PROGRAMS, before=INSTALL, after=DENIED, timeout=900)
    assert "status" not in without.out
    assert without.out.endswith("from a layer\n/dev/pts/0\r\nin\n")
    assert (stacked.out, stacked.after) == (without.out, "")


LOOPBACK = """cat >/tmp/local.toml <<'END'
schema = 1
name = "local"
extends = ["strict"]
[network]
mode = "loopback"
END
jailpy apparmor install strict plugin /tmp/local.toml
"""
LISTEN = """cat >/tmp/listen.py <<'END'
import socket
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname())
print("met", open("/proc/self/attr/apparmor/current").read().strip())
END
"""


@pytest.mark.full
def test_other_profiles_and_options(guest):
    """Loopback by a profile that was installed for it, and by an option that goes beyond the installed one; exec = none."""
    script = f"""{LISTEN}
    jailpy exec -p /tmp/local.toml --ro /tmp/listen.py:/work/l.py -- python3 l.py
    jailpy exec --net loopback --ro /tmp/listen.py:/work/l.py --report /tmp/r -- python3 l.py
    jailpy exec --net loopback --set 'require.layers=["apparmor"]' -- true; echo $?
    jailpy exec -p plugin -- {LABEL}
    cat /tmp/r
    """
    done = guest.run(script, before=LOOPBACK, after=DENIED)
    *lines, report = done.out.split("\n", 4)
    assert lines[:2] == ["met jailpy-local//&unconfined (enforce)", "met unconfined"], done.err
    assert lines[2:] == ["125", "jailpy-plugin//&unconfined (enforce)"]
    assert state(report) == (
        "absent",
        'jailpy-strict was not made for this run: network.mode = "loopback"; it allows "none"',
    )
    assert done.after == ""


def test_a_file_that_all_else_allows_is_denied(guest):
    run = "echo word >/tmp/secret; jailpy exec --ro /tmp/secret:/work/secret -- cat secret"
    allowed = guest.run(run, before=INSTALL)
    assert (allowed.status, allowed.out) == (0, "word\n")
    local = "mkdir -p /etc/apparmor.d/local; echo 'audit deny /work/secret r,' >/etc/apparmor.d/local/jailpy-strict\n"
    denied = guest.run(run, before=local + INSTALL, after=DENIED)
    assert denied.status == 1
    assert "secret: Permission denied" in denied.err
    assert 'profile="jailpy-strict" name="/work/secret"' in denied.after


WEAK = '--set require.layers=\'["!seccomp","!landlock"]\''


@pytest.mark.full
@pytest.mark.parametrize(
    ("attack", "denied"),
    [
        ("import os; os.open('/proc/self/mem', os.O_RDWR)", "open"),
        ("import os; os.kill(1, 0)", "signal"),
        ("import socket; socket.socket()", "create"),
        ("import os; os.listdir('/proc/tty')", "open"),
    ],
    ids=["memory", "signal", "network", "proc"],
)
def test_what_it_adds_where_filter_and_landlock_are_gone(guest, attack, denied):
    """Each of these is refused by AppArmor alone: the same jail without it is the control."""
    run = f'jailpy exec {WEAK} -- python3 -c "{attack}"'
    control = guest.run(run)
    stacked = guest.run(run, before=INSTALL, after=DENIED)
    assert control.status == 0, control.err
    assert stacked.status == 1
    assert "PermissionError" in stacked.err
    assert f'operation="{denied}"' in stacked.after


def test_a_missing_profile(guest):
    run = "jailpy exec --set 'require.layers=[\"apparmor\"]' -- true"
    done = guest.run(run)
    assert done.status == 125
    assert "no profile jailpy-strict is loaded" in done.err
    assert "hint: sudo jailpy apparmor install strict" in done.err
    assert guest.run(run, before="jailpy apparmor install strict").status == 0, "the hint helps"


def test_complain_mode_is_not_enforcement(guest):
    soft = "jailpy apparmor install strict && sed -i '/^profile/s/flags=(/flags=(complain,/' /etc/apparmor.d/jailpy-strict\n"
    soft += "apparmor_parser --replace --skip-cache /etc/apparmor.d/jailpy-strict"
    run = "jailpy exec --report /tmp/r -- true; cat /tmp/r; jailpy apparmor list >&2"
    done = guest.run(run, before=soft)
    assert state(done.out)[0] == "degraded"
    assert "complain" in done.err
    required = guest.run("jailpy exec --set 'require.layers=[\"apparmor\"]' -- true", before=soft)
    assert required.status == 125
    assert "complain mode, which denies nothing" in required.err


@pytest.mark.full
def test_a_mode_that_the_plan_could_not_see_ends_the_run(guest):
    """Profiles that JailPy did not write are too many to look at; the label after execve tells."""
    soft = load("own", "/** rwmix,", flags="attach_disconnected,complain")
    done = guest.run("jailpy exec --report /tmp/r --set apparmor.profile=own -- sleep 5; echo $?; cat /tmp/r", before=soft)
    status, report = done.out.split("\n", 1)
    assert status != "0"
    assert json.loads(report)["verdict"] == "internal_error"
    assert "own//&unconfined (complain)" in json.loads(report)["evidence"]["source"]
    hard = load("own", "/** rwmix,")
    assert guest.run("jailpy exec --set apparmor.profile=own -- sleep 1", before=hard).status == 0


def test_installing_and_removing(guest):
    script = """exec 2>&1; set -x
    jailpy apparmor install strict; echo "status $?"
    jailpy apparmor list; head -1 /etc/apparmor.d/jailpy-strict
    jailpy apparmor remove strict; echo "status $?"
    jailpy apparmor list; ls /etc/apparmor.d | grep jailpy
    echo '# mine' >/etc/apparmor.d/jailpy-strict; jailpy apparmor install strict; echo "status $?"
    cat /etc/apparmor.d/jailpy-strict; rm /etc/apparmor.d/jailpy-strict
    mkdir -p /etc/apparmor.d/local; echo 'nonsense' >/etc/apparmor.d/local/jailpy-strict
    jailpy apparmor install strict; echo "status $?"; ls -A /etc/apparmor.d | grep jailpy; true
    """
    out = guest.run(script, mode="root").out
    parts = out.split("+ jailpy apparmor ")
    assert "jailpy-strict: loaded" in parts[1]
    assert "status 0" in parts[1]
    assert "enforce" in parts[2]
    assert "# Written by jailpy apparmor" in parts[2]
    assert "jailpy-strict: removed" in parts[3]
    assert "jailpy-strict" not in parts[4].split("echo '# mine'")[0].replace("/etc/apparmor.d/jailpy-strict", "")
    assert "was not written by JailPy" in parts[5]
    assert "status 1" in parts[5]
    assert "\n# mine\n" in parts[5]
    assert "could not check" in parts[6]
    assert "syntax error" in parts[6]
    assert "status 1" in parts[6]
    assert not parts[6].rstrip().endswith(".new")


@pytest.mark.full
def test_an_ordinary_user_may_list_and_not_install(guest):
    done = guest.run("jailpy apparmor list; jailpy apparmor install strict", before=INSTALL)
    assert done.out.count("enforce") == 3
    assert done.status == 1
    assert "only root" in done.err
    assert "sudo /usr/local/bin/jailpy apparmor install" in done.err


@pytest.mark.full
def test_a_launcher_that_is_confined_itself(guest):
    """A profile around the launcher, also under no_new_privs, where stacking is all that the kernel still allows."""
    around = INSTALL + load("around", ALL + " userns," if guest.name in NEWER else ALL, "4.0" if guest.name in NEWER else "3.0")
    for run in (
        f"aa-exec -p around -- jailpy exec -- {LABEL}",
        f"aa-exec -p around -- setpriv --no-new-privs jailpy exec -- {LABEL}",
    ):
        done = guest.run(run, before=around, after=DENIED)
        assert done.status == 0, done.err
        names, _, mode = done.out.rpartition(" ")
        assert (sorted(names.split("//&")), mode) == (["around", "jailpy-strict"], "(enforce)\n")
        assert done.after == ""


@pytest.mark.full
def test_a_profile_around_the_launcher_that_forbids_what_it_needs(guest):
    no_mount = load("around", "file, network, capability, signal, ptrace, unix, change_profile,")
    done = guest.run("aa-exec -p around -- jailpy exec -- true", before=no_mount)
    assert done.status == 125
    assert "the AppArmor profile around (enforce) confines this process" in done.err
    no_cat = load("around", ALL + " deny /usr/bin/cat x,")
    done = guest.run("aa-exec -p around -- jailpy exec -- cat /dev/null", before=no_cat)
    assert done.status == 126
    assert "the AppArmor profile around (enforce) around JailPy may refuse it" in done.err


RESTRICTED = load("shell", ALL + " /usr/local/bin/jailpy Pix,", "4.0")


@pytest.mark.guests(*NEWER)
def test_the_launchers_profile_lifts_what_a_restriction_of_user_namespaces_takes(guest):
    """Ubuntu's switch is in no Debian kernel: a profile without `userns,` around the shell stands for it."""
    run = "aa-exec -p shell -- sh -c"  # the shell is in the profile: what it starts follows the rules
    without = guest.run(f"{run} 'jailpy exec -- true; echo $?; jailpy doctor; echo $?'", before=RESTRICTED)
    assert without.out.startswith("125\n")
    assert without.out.endswith("\n1\n")
    assert "the AppArmor profile shell (enforce) confines this process" in without.err
    assert "apparmor install --launcher" in without.out
    install = "jailpy apparmor install --launcher\n" + RESTRICTED
    script = "jailpy exec -- echo started; cat /proc/self/attr/current; unshare -Ur true; echo $?; python3 -m jailpy exec -- true; echo $?"
    done = guest.run(f"{run} '{script}'", before=install)
    assert done.out == "started\nshell (enforce)\n1\n125\n", done.err


@pytest.mark.guests(*NEWER)
def test_the_kernel_takes_the_start_script_for_the_launcher(guest):
    """Attachment is by the script's path; another script, and the interpreter, stay without."""
    show = '#!/usr/bin/python3\\nprint(open("/proc/self/attr/current").read().strip())\\n'
    before = f"printf '{show}' >/usr/local/bin/other; chmod 755 /usr/local/bin/other; jailpy apparmor install --launcher\n"
    before += "cp /usr/local/bin/other /usr/local/bin/jailpy"
    done = guest.run("jailpy; other; python3 /usr/local/bin/jailpy", before=before)
    assert done.out.splitlines() == ["jailpy-launcher (unconfined)", "unconfined", "unconfined"]


@pytest.mark.full
@pytest.mark.guests("bookworm")
def test_a_parser_without_userns_says_so(guest):
    done = guest.run("jailpy apparmor install --launcher; ls /etc/apparmor.d", mode="root")
    assert "jailpy-launcher" not in done.out
    assert "could not check" in done.err


@pytest.mark.full
@pytest.mark.parametrize("mode", ["user", "root"])
def test_a_kernel_without_apparmor(guest, mode):
    off = "apparmor=0 lsm=landlock,yama"
    done = guest.run(
        "jailpy exec -- true; echo $?; jailpy apparmor list; jailpy apparmor install strict", mode=mode, append=off
    )
    assert done.out == "0\n"
    assert done.status == 1
    assert ("without AppArmor" if mode == "root" else "only root") in done.err
