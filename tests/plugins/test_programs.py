"""Programs as plugins: by the line protocol in three languages, and filters."""

from __future__ import annotations

import os
import time

import pytest

import jailpy
from jailpy.services.plugins import worker
from tests.core import PATIENCE

pytestmark = pytest.mark.usefixtures("nothing_left")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))


def lookup(word: str) -> str:
    return f"<{word}>"


@pytest.mark.parametrize(("language", "tool"), [("python", "python3"), ("node", "node"), ("bash", "bash")])
def test_the_line_protocol(need_tool, language, tool):
    need_tool(tool)
    options = {"profile": jailpy.Profile.load("plugin").replace(runtime=["node"])} if language == "node" else {}
    with jailpy.Plugin(f"{ROOT}/examples/plugin-protocol/{language}", grants={"host": {"lookup": lookup}}, **options) as plugin:
        assert [plugin.shout("ant"), plugin.shout('"bee" \\')] == ["<ANT>", '<"BEE" \\>']
        with pytest.raises(jailpy.PluginError, match="Broken: as it should"):
            plugin.broken()
        with pytest.raises(jailpy.PluginError, match="Refused: lookup: argument word: Expected `str`, got `int`"):
            plugin.shout(1)
        with pytest.raises(TypeError, match="reach Python plugins only"):
            plugin.shout(b"x" * 100_000)
        assert plugin.stats()["starts"] == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/bin/cat"], "did not start: it ended"),
        (["/no/such"], "did not start: it ended"),
        (["/bin/bash", "-c", 'echo x >&"$JAILPY_FD"; read -r -t 9 x'], "did not start: its message is none of the protocol"),
        (
            ["/bin/bash", "-c", """echo '{"type":"ready","protocol":2}' >&"$JAILPY_FD"; read -r x"""],
            "is not `ready` with protocol 1",
        ),
        (
            ["/bin/bash", "-c", """echo '{"type":"error","id":0,"kind":"Missing","text":"no model"}' >&"$JAILPY_FD"; exit"""],
            "Missing: no model",
        ),
    ],
)
@pytest.mark.parametrize("host", ["quick", "busy"])
def test_programs_that_do_not_speak_it(tmp_path, monkeypatch, command, said, host):
    if host == "busy":  # it looks for the processes of a program that has ended
        meter = worker.Meter
        monkeypatch.setattr(worker, "Meter", lambda pid: time.sleep(0.5 * PATIENCE) or meter(pid))
    table = {"schema": 1, "name": "mute", "command": command, "entries": ["run"]}
    with jailpy.Plugin(tmp_path, manifest=table) as plugin, pytest.raises(jailpy.PluginError) as caught:
        plugin.run()
    assert (caught.value.reason, said in str(caught.value)) == ("start", True), caught.value


def test_a_filter():
    upper = jailpy.Filter(["tr", "a-z", "A-Z"])
    assert upper(b"text") == upper("text") == b"TEXT"
    with pytest.raises(jailpy.PluginError) as caught:
        jailpy.Filter(["bash", "-c", "echo oh >&2; exit 3"])(b"x")
    assert (caught.value.reason, "nonzero_exit, status 3: oh" in str(caught.value)) == ("crashed", True)
    with pytest.raises(jailpy.PluginError) as caught:
        jailpy.Filter(["sleep", "60"], manifest={"asks": {"wall": "1s"}})()
    assert caught.value.reason == "wall_limit"
    assert jailpy.Filter(["bash", "-c", 'read -r x < /etc/shadow; echo "$x"']).run().stdout == b"\n"


def test_a_filter_with_a_folder_of_its_own(tmp_path):
    folder = tmp_path / "rot"
    folder.mkdir()
    (folder / "rot.sh").write_text('while IFS= read -r x; do echo "${x//a/b}$1"; done')
    text = 'schema = 1\nname = "rot"\nfilter = ["/bin/bash", "rot.sh"]\n'
    (folder / "jailpy-plugin.toml").write_text(text)
    assert jailpy.Filter(folder)(b"banana\n", "!") == b"bbnbnb!\n"
    with pytest.raises(jailpy.UsageError, match=r"rot: is a filter: use jailpy\.Filter"):
        jailpy.Plugin(folder)
    with pytest.raises(jailpy.ManifestError, match="entries: a filter has none"):
        jailpy.Filter(["cat"], manifest={"entries": ["x"]})
    with pytest.raises(jailpy.UsageError, match="is no filter"):
        jailpy.Filter(f"{ROOT}/examples/plugin-protocol/bash")
