"""`jailpy explain`: every step in order, in the words of errors and -v; JSON that parses; nothing is applied."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from jailpy.plan.order import ORDER
from jailpy.profile.model import LAYERS
from tests.core import execute, groups_of, start


def explain(jailpy, *words, **options):
    with start(jailpy, *words, verb="explain", **options) as process:
        out, err = process.communicate(timeout=60)
    assert groups_of(process.pid) == []
    return process.returncode, out.decode(), err.decode()


def test_words_and_json_agree(jailpy):
    status, text, err = explain(jailpy, "--", "/bin/id", "-u")
    assert (status, err) == (0, "")
    status, data, err = explain(jailpy, "--json", "--", "/bin/id", "-u")
    assert (status, err) == (0, "")
    plan = json.loads(data)
    shown = re.findall(r"^ *(\d+)  (\S+) +(\S+) +(.*)$", text, re.MULTILINE)
    assert [int(number) for number, *_ in shown] == list(range(1, len(plan["steps"]) + 1))
    for (_, side, layer, words), step in zip(shown, plan["steps"], strict=True):
        assert (side, layer) == (step["side"].removesuffix("-after-fork"), step["layer"])
        assert re.sub(r"\d{9,}|jailpy-\d+", "N", words) == re.sub(r"\d{9,}|jailpy-\d+", "N", step["words"])
    assert [layer["name"] for layer in plan["layers"]] == list(LAYERS)
    assert plan["command"]["argv"] == ["/bin/id", "-u"]
    assert plan["profile"]["name"] == "strict"


def test_steps_are_in_the_order_of_the_phases(jailpy):
    _, data, _ = explain(jailpy, "--json", "true")
    ranks = [[phase for phase, _ in ORDER].index(step["phase"]) for step in json.loads(data)["steps"]]
    assert ranks == sorted(ranks)
    _, text, _ = explain(jailpy, "true")
    for phase, reason in ORDER:
        if phase in {step["phase"] for step in json.loads(data)["steps"]}:
            assert f"{phase}: {reason}" in text


def test_the_words_are_those_of_verbose(jailpy):
    _, text, _ = explain(jailpy, "--", "true")
    said = execute(jailpy, "-v", "--", "true").err.decode()
    steps = re.findall(r"^ *\d+  \S+ +(\S+) +(.*)$", text, re.MULTILINE)
    for layer, words in steps:
        if not re.search(r"\d{9,}", words):
            assert f"jailpy: {layer}: {words}" in said


def test_layers_overrides_and_loosened(jailpy, tmp_path):
    status, text, _ = explain(jailpy, "--memory", "1G", "--wall", "1s", "--rw", tmp_path, "--set", "limits.cpus=0.5", "true")
    assert status == 0
    assert f"overridden: --memory 1G, --wall 1s, --rw {tmp_path}, --set limits.cpus=0.5" in text
    assert re.search(r"^loosened: limits.memory.*1G", text, re.MULTILINE)
    assert f"unbounded: {tmp_path}" in text
    for layer in LAYERS:
        assert re.search(rf"^{layer} +(enforced|degraded|absent|off) ", text, re.MULTILINE), layer
    assert "overridden" not in explain(jailpy, "true")[1]


def test_options_belong_to_the_command_after_its_first_word(jailpy):
    status, text, _ = explain(jailpy, "echo", "--json", "-p", "nosuch")
    assert (status, text.rstrip().endswith("execute 'echo' '--json' '-p' 'nosuch'")) == (0, True)
    status, data, _ = explain(jailpy, "--json", "echo", "--json")
    assert (status, json.loads(data)["command"]["argv"]) == (0, ["echo", "--json"])
    status, data, _ = explain(jailpy, "-p", "grade", "--json", "--", "--json")
    assert (status, json.loads(data)["command"]["argv"]) == (0, ["--json"])


def test_nothing_is_applied(jailpy, tmp_path):
    for name in ("out", "report"):
        assert explain(jailpy, "--stdout", tmp_path / name, "--report", tmp_path / name, "true")[0] == 0
        assert not (tmp_path / name).exists()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("words", "status", "text"), [
    ([], 2, "command: none was given"),
    ([], 2, "hint: jailpy explain [OPTIONS] -- COMMAND [ARG...]"),
    (["--nosuch", "true"], 2, "--nosuch"),
    (["--ro", "/nosuch", "true"], 2, "/nosuch"),
    (["-p", "nosuch", "true"], 125, "nosuch"),
    (["--memory", "lots", "true"], 125, "memory"),
])  # fmt: skip
def test_errors(jailpy, words, status, text):
    found, out, err = explain(jailpy, *words)
    assert (found, out) == (status, "")
    assert err.startswith("jailpy: error: ")
    assert text in err
    assert "Traceback" not in err


def test_what_is_untrusted_is_escaped(jailpy):
    status, text, _ = explain(jailpy, "--", "echo", "\x1b[31m\n\u202e", os.fsdecode(b"\xff"))
    assert status == 0
    assert "\x1b" not in text
    assert "\u202e" not in text
    status, data, _ = explain(jailpy, "--json", "--", "echo", os.fsdecode(b"\xff"))
    assert (status, json.loads(data)["command"]["argv"][1]) == (0, "\\xff")


def test_help(jailpy):
    done = subprocess.run([jailpy, "explain", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    for word in ("--json", "--profile", "Examples"):
        assert word in done.stdout


def test_a_missing_layer_is_a_refusal_and_can_be_accepted(jailpy):
    asked = ["--set", 'require.layers=["apparmor"]', "--set", "apparmor.profile=jailpy-nosuch"]
    status, out, err = explain(jailpy, *asked, "true")
    assert (status, out) == (125, "")
    assert "--allow-missing apparmor" in err
    status, out, _ = explain(jailpy, *asked, "--allow-missing", "apparmor", "true")
    assert status == 0
    assert re.search(r"^apparmor +absent +required ", out, re.MULTILINE)
