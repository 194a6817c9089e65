"""selftest: every layer in force holds; and a layer that was sabotaged is found out, which shows that the attacks bite."""

import json
import os
import subprocess
import sys

import pytest

from jailpy.kernel import landlock
from jailpy.services.attacks import ATTACKS, PROGRAM, TAKE_MEMORY, TAKE_PROCESSES, chosen, parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EVERY = {attack.name for attack in (*ATTACKS, *chosen(True, False), TAKE_MEMORY, TAKE_PROCESSES)}
IN_FORCE = ("enforced", "degraded")
SABOTAGE = """
import sys
from jailpy import child
from jailpy.steps import mounts, process
child.APPLY[{step}] = lambda step, child: None
from jailpy.cli import main
sys.exit(main(["selftest", "--json"]))
"""
# What verify.py could not see is what an attack has to find.
NOT_OUR_FILTER = """
import sys
from jailpy.layers import seccomp_filter
made = seccomp_filter.compiled
allow_all = (6).to_bytes(4, sys.byteorder) + (0x7fff0000).to_bytes(4, sys.byteorder)
seccomp_filter.compiled = lambda *args, **more: type(made(*args, **more))(allow_all, 1, True, "")
from jailpy.cli import main
sys.exit(main(["selftest", "--json"]))
"""
WRITABLE = """
import sys
from jailpy.kernel.mount import NOEXEC, RDONLY
from jailpy.plan import compile
planner = compile.PLANNERS["mount"]
def writable(step):
    if not getattr(step, "path", "").endswith("/shown") or not hasattr(step, "attributes"):
        return step
    return type(step)(**{**step.__dict__, "attributes": step.attributes & ~RDONLY | NOEXEC})
def plan(context):
    made = planner(context)
    return type(made)(**{**made.__dict__, "steps": tuple(writable(step) for step in made.steps)})
compile.PLANNERS["mount"] = plan
from jailpy.cli import main
sys.exit(main(["selftest", "--json"]))
"""
pytestmark = pytest.mark.usefixtures("nothing_left")


def run(*arguments, code=""):
    start = [sys.executable, "-P", *(("-c", code) if code else ("-m", "jailpy", "selftest"))]
    return subprocess.run(
        [*start, *arguments], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ROOT}, timeout=60
    )


def judged(done):
    """Return the report, its layers by name, and its attacks by name."""
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["held"] else 1)
    layers = {layer["name"]: layer for layer in found["layers"]}
    return found, layers, {attack["attack"]: attack for attack in found["attacks"]}


BY_SCOPES = pytest.mark.skipif(os.geteuid() != 0 and landlock.abi()[0] < 6, reason="Landlock ABI 6 is needed")


@pytest.mark.parametrize(
    "profile", ["strict", "grade", "build", "plugin", "observe", pytest.param("strict-nonamespaces", marks=BY_SCOPES)]
)
def test_every_layer_in_force_holds(profile):
    found, layers, attacks = judged(run("--json", "-p", profile))
    in_force = {name for name, layer in layers.items() if layer["state"] in IN_FORCE}
    assert {name for name in in_force if layers[name]["held"] is False} == set()
    assert {attack["layer"] for attack in attacks.values()} == in_force
    assert found["held"] == (found["missing"] == [])
    for attack in attacks.values():
        assert attack["held"] or attack["reason"], attack
        assert attack["held"] is None or attack["control"], attack


@pytest.mark.root
def test_grade_container_holds():
    test_every_layer_in_force_holds("grade-container")


@BY_SCOPES
@pytest.mark.parametrize(
    ("code", "layer", "attack"),
    [
        (SABOTAGE.format(step="plain.RestrictInPlace"), "landlock", "list_host_folder"),
        (NOT_OUR_FILTER, "seccomp", "leave_process_group"),
    ],
)
def test_what_stands_in_for_namespaces_is_attacked_too(code, layer, attack):
    code = code.replace("from jailpy.steps import mounts, process", "import jailpy.child.plain; from jailpy.steps import plain")
    code = code.replace('["selftest", "--json"]', '["selftest", "--json", "-p", "strict-nonamespaces"]')
    found, layers, attacks = judged(run(code=code))
    assert not found["held"]
    assert layers[layer]["held"] is False
    assert attacks[attack]["reason"] == "not refused"


def test_strict_leaves_nothing_unproven():
    """Everything that this machine has in force is attacked, and each control worked."""
    _, layers, attacks = judged(run("--json"))
    named = {attack.name for attack in ATTACKS if layers[attack.layer]["state"] in IN_FORCE}
    assert named <= set(attacks) <= EVERY
    assert {name for name, attack in attacks.items() if not attack["held"]} <= {
        "gain_by_flag",
        "gain_by_set_uid",
        "use_io_uring",
    }


@pytest.mark.parametrize(
    ("code", "layer", "attack"),
    [
        (SABOTAGE.format(step="process.RestrictLandlock"), "landlock", "read_landlock_canary"),
        (SABOTAGE.format(step="process.ForbidUserNamespaces"), "user", "nest_user_namespace"),
        (SABOTAGE.format(step="process.SetHostname"), "uts", "see_host_name"),
        (NOT_OUR_FILTER, "seccomp", "trace"),
        (WRITABLE, "mount", "write_shown_file"),
    ],
    ids=["landlock", "user", "uts", "seccomp", "mount"],
)
def test_a_sabotaged_layer_is_found_out(code, layer, attack):
    found, layers, attacks = judged(run(code=code))
    assert not found["held"]
    assert layers[layer]["held"] is False
    assert attacks[attack]["held"] is False
    assert attacks[attack]["reason"] == "not refused"


def test_a_control_that_fails_proves_nothing(monkeypatch):
    """Without its decoy nothing can be found on the host, in the jail or out of it: that is not called held."""
    code = (
        "import sys\n"
        "from jailpy.services.attacks import scene\n"
        "start = scene.Scene.start_decoy\n"
        "scene.Scene.start_decoy = lambda self: (start(self), self._facts.update(decoy=4194305, port=1, key=0x7A11FFF1))\n"
        "from jailpy.cli import main\n"
        "sys.exit(main(['selftest', '--json']))\n"
    )
    found, layers, attacks = judged(run(code=code))
    assert not found["held"]
    for name in ("find_host_process", "connect_to_loopback", "find_shared_memory"):
        assert attacks[name]["held"] is False
        assert attacks[name]["reason"] == "not proven: control failed"
    assert layers["net"]["held"] is False
    assert layers["landlock"]["held"] is not False


def test_the_words():
    done = run()
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["layer", "attack"]
    assert lines[-1].startswith("strict: ")
    assert "layers held" in lines[-1]


def test_a_profile_that_does_not_exist():
    done = run("-p", "no-such-profile")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr


def test_every_attack_is_in_the_program():
    with open(PROGRAM) as file:
        text = file.read()
    assert {name for name in EVERY if f"\ndef {name}():" not in text} == set()


def test_answers_are_taken_as_data():
    good = {"attack": "trace", "applies": True, "refused": True, "seen": "x" * 1000}
    bad = [
        {**good, "attack": "unknown"},
        {**good, "attack": "use_keyrings", "refused": "yes"},
        {**good, "attack": "become_root", "seen": None},
        {"attack": "change_root"},
        {**good, "refused": False},
        [1],
    ]
    output = b"\n".join([json.dumps(good).encode(), b"[" * 5000, b"\xff", *(json.dumps(one).encode() for one in bad)])
    found = parse(output, ("trace", "use_keyrings", "become_root", "change_root"))
    assert set(found) == {"trace"}
    assert found["trace"].refused
    assert found["trace"].seen == "x" * 200
