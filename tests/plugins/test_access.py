"""What is granted is there, and nothing else: a folder to write to, wheels and virtual environments, the network."""

from __future__ import annotations

import sys
import zipfile

import pytest

import jailpy

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_folder_to_write_to(make, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    target.chmod(0o777)
    source = "def run(text):\n with open('/data/made', 'w') as file:\n  file.write(text)\n return text"
    folder = make(source, "run", asks="write = true")
    with jailpy.Plugin(folder, grants={"write": target}) as plugin:
        assert plugin.run("x") == "x"
    assert (target / "made").read_text() == "x"
    with jailpy.Plugin(folder) as plugin, pytest.raises(jailpy.PluginError, match="No such file or directory: '/data/made'"):
        plugin.run("y")
    unasked = make(source, "run", name="unasked")
    with jailpy.Plugin(unasked, grants={"write": target}) as plugin, pytest.raises(jailpy.PluginError, match="/data/made"):
        plugin.run("z")
    assert (target / "made").read_text() == "x"


@pytest.mark.parametrize("kind", ["wheel", "environment"])
def test_packages(make, kind):
    folder = make("import helper\ndef run(): return helper.VALUE", "run")
    manifest = folder / "jailpy-plugin.toml"
    manifest.write_text(manifest.read_text() + 'packages = "vendor"\n')
    vendor = folder / "vendor"
    vendor.mkdir()
    if kind == "wheel":
        with zipfile.ZipFile(vendor / "helper-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("helper.py", "VALUE = 7")
    else:
        (vendor / "pyvenv.cfg").touch()
        site = vendor / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        site.mkdir(parents=True)
        (site / "helper.py").write_text("VALUE = 7")
    with jailpy.Plugin(folder) as plugin:
        assert plugin.run() == 7
    if kind == "environment":
        site.rename(site.parent / "elsewhere")
        with pytest.raises(jailpy.ManifestError, match="packages: vendor is of another Python"):
            jailpy.Plugin(folder)


def test_the_network(make):
    source = "import socket\ndef run():\n with socket.socket() as s:\n  s.bind(('127.0.0.1', 0))\n  return s.getsockname()[0]"
    folder = make(source, "run", asks='network = "loopback"')
    with jailpy.Plugin(folder) as plugin, pytest.raises(jailpy.PluginError, match="PermissionError"):
        plugin.run()
    with pytest.raises(jailpy.ManifestError, match="network: is wider than the profile: loopback against none"):
        jailpy.Plugin(folder, grants={"network": "loopback"})
    wide = jailpy.Profile.load("plugin").replace(net="loopback")
    with jailpy.Plugin(folder, grants={"network": "loopback"}, profile=wide) as plugin:
        assert plugin.run() == "127.0.0.1"
    with jailpy.Plugin(folder, profile=wide) as plugin, pytest.raises(jailpy.PluginError, match="PermissionError"):
        plugin.run()
