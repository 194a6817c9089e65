"""Broken hosts, really broken: doctor names the cause in one line, exec refuses with it, and the fix, applied, makes `strict` start.

The fix is applied as it is printed: `jailpy doctor --fix-script`, as the account that has the trouble, into root's `sh`, twice.
tests/vm/broken.py has the hosts.
"""

from __future__ import annotations

import json

import pytest

from tests.vm.broken import BROKEN, PRELUDE, WHOLE
from tests.vm.machine import SECURITY

LOOK = """
as_{who} 'jailpy doctor' >text; echo $? >doctor-status
as_{who} 'jailpy exec -- echo ran' >exec-out 2>exec-err; echo $? >exec-status
left >left
"""
MEND = """
as_{who} 'jailpy doctor --fix-script' >script
sh -n script && sh script >mended 2>&1 && sh script >>mended 2>&1; echo $? >mended-status
{follow}
as_{then} 'jailpy exec -- echo ran' >then-out 2>then-err; echo $? >then-status
as_{then} 'jailpy doctor' >then-doctor 2>&1
"""
SHOW = """
python3 -c 'import json, os; print(json.dumps({name: open(name, errors="replace").read() for name in os.listdir(".")}))'
"""
START = "mkdir -p /run/case; cd /run/case; {{ {script}\n}} >broken 2>&1\n"


def examined(guest, case, *, mend):
    """Break the host, look at it, mend it, look again. Returns the text of each file by name."""
    follow = {"who": case.who, "follow": case.follow, "then": case.then or case.who}
    parts = [PRELUDE, START.format(script=case.script), LOOK.format(who=case.who)]
    done = guest.run("".join([*parts, MEND.format(**follow) if mend else "", SHOW]), mode="root", append=case.append)
    assert done.status == 0, done.err
    return json.loads(done.out)


def parameter(case):
    """Return a case as a parameter; one that boots another way is for the full run."""
    marks = [pytest.mark.full] if case.append != SECURITY else [] if case.guests else [pytest.mark.in_turn]
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [parameter(case) for case in BROKEN])
def test_a_broken_host(guest, case, found):
    if case.guests and guest.name not in case.guests:
        pytest.skip(f"possible only on {', '.join(case.guests)}")
    seen = examined(guest, case, mend=case.mend == "script" or bool(case.then))
    named_by_doctor(case, seen)
    refused_by_exec(case, seen)
    if case.mend == "script" or case.then:
        mended(case, seen)
    found[guest.name]["broken"][case.name] = {"cause": case.cause, "fix": case.mend, "starts": seen.get("then-status") == "0\n"}


def layers_of(text):
    """Read what doctor prints: (state, cause or mechanism, lines of the fix) of each layer by name."""
    layers, name = {}, ""
    for line in text.splitlines()[1:]:
        if line.startswith("      "):
            layers[name][2].append(line.strip())
        elif line.startswith("  ") and line != "    fix:":
            name, state, what = line.split(maxsplit=2)
            layers[name] = (state, what, [])
    return layers


def named_by_doctor(case, seen):
    layers = layers_of(seen["text"])
    assert seen["doctor-status"] == "1\n"
    state, what, fix = layers[case.layer]
    assert state in ("absent", "degraded")
    assert case.cause in what
    assert seen["text"].count(case.cause) == 1, "one line"
    assert seen["text"].splitlines()[-1].startswith("strict does not start here (exec ends with 125): ")
    assert {name for name, layer in layers.items() if layer[2]} == {case.layer}, "one cause, one fix"
    assert case.fix in "\n".join(fix)


def refused_by_exec(case, seen):
    assert (seen["exec-status"], seen["exec-out"]) == ("125\n", "")
    lines = seen["exec-err"].splitlines()
    assert lines[0].startswith("jailpy: error: ")
    assert (case.error or case.cause) in seen["exec-err"]
    assert "Traceback" not in seen["exec-err"]
    assert 2 <= len(lines) <= 6
    assert seen["left"] == ""


def mended(case, seen):
    if case.mend == "script":
        assert seen["mended-status"] == "0\n", seen["mended"]
    assert (seen["then-status"], seen["then-out"]) == ("0\n", "ran\n"), seen["then-err"] + seen["then-doctor"]
    assert seen["then-doctor"].splitlines()[-1].startswith("strict starts here: ")


@pytest.mark.full
@pytest.mark.guests("trixie")
@pytest.mark.parametrize("arguments", ["lsm=landlock,lockdown,yama,apparmor"])
def test_the_boot_parameter_that_doctor_names(guest, arguments):
    """What doctor says of the host without Landlock (`landlock_off`), done: another boot with just that."""
    done = guest.run("jailpy exec -- echo ran; cat /sys/kernel/security/lsm", append=arguments)
    assert done.out.startswith("ran\n"), done.err
    assert "landlock" in done.out


@pytest.mark.in_turn
@pytest.mark.parametrize("name", WHOLE)
def test_a_host_that_only_looks_broken(guest, name):
    script = "jailpy exec -- echo ran; echo $?; jailpy doctor; echo $?"
    done = guest.run(script, mode="user", before=WHOLE[name])
    lines = done.out.splitlines()
    assert lines[:2] == ["ran", "0"], done.err
    assert lines[-2].startswith("strict starts here: ")
    assert lines[-1] == "0"
