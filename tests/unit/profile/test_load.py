"""From a name and overrides to a Profile: lookup, merging, presets, what is loosened, the cache."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jailpy import cache
from jailpy.errors import ProfileError
from jailpy.profile import locate
from jailpy.profile.load import load, shadow_warning
from jailpy.profile.merge import Override
from jailpy.profile.model import LAYERS, Show, Tmpfs
from jailpy.profile.overrides import from_text, parse_set
from jailpy.profile.resolve import document_of
from jailpy.profile.schema import KEYS, RUNTIMES, defaults

BUILTIN = ("build", "build-container", "grade", "grade-container", "observe", "plugin", "strict", "strict-nonamespaces")
FORBIDDEN = {
    "click", "tomllib", "dataclasses", "typing", "enum", "re", "json", "subprocess", "pathlib", "contextlib", "functools",
    "collections", "hashlib", "argparse", "inspect", "tempfile", "shutil", "logging", "difflib",
}  # fmt: skip


def test_strict_says_the_defaults():
    said = document_of("strict")
    assert said == {**defaults(), "name": "strict", "description": said["description"]}


def test_strict_as_a_value():
    strict = load("strict")
    assert strict.require.layers == tuple(layer for layer in LAYERS if layer != "apparmor")
    assert strict.require.prefer == ("apparmor",)
    assert (strict.limits.wall, strict.limits.idle, strict.limits.memory, strict.limits.cpus) == (
        10.0,
        None,
        1 << 28,
        1.0,
    )
    assert strict.filesystem.tmpfs == (Tmpfs("/tmp", None), Tmpfs("/work", None), Tmpfs("/dev/shm", None))
    assert dict(strict.environment.set)["HOME"] == "/work"
    assert strict.environment.pass_ == ("LANG", "LC_ALL", "TZ")
    assert strict.loosened == ()
    assert strict.digest.startswith("sha256:")
    assert strict.origin == locate.builtin_path("strict")


@pytest.mark.parametrize("name", BUILTIN)
def test_builtin(name):
    profile = load(name)
    assert profile.name == name
    assert profile.description
    assert bool(profile.loosened) == (name != "strict")
    assert all("(profile " in line for line in profile.loosened)


def test_builtin_names():
    assert tuple(locate.names(locate.BUILTIN_FOLDER)) == BUILTIN
    assert set(locate.names(locate.RUNTIME_FOLDER)) == set(RUNTIMES)


def test_what_builtin_profiles_are_for():
    assert load("grade").filesystem.exec == "any"
    assert load("plugin").filesystem.exec == "none"
    assert load("plugin").limits.wall is None
    build = load("build")
    assert (build.limits.processes, build.limits.memory, build.network.mode) == (256, 2 << 30, "none")
    observe = load("observe")
    assert observe.seccomp.violation == "record"
    assert not {"landlock", "apparmor"} & {*observe.require.layers, *observe.require.prefer}
    assert "no-new-privs" in observe.require.layers
    assert "little" in observe.description.lower()
    assert "require.layers: landlock -> not there (profile observe)" in observe.loosened


# Names and paths


def test_a_file_here_is_not_picked_up_by_name(write):
    write("strict.toml", '[network]\nmode = "host"\n')
    write("other.toml", '[network]\nmode = "host"\n')
    assert load("strict").network.mode == "none"
    assert "./strict.toml is not used" in shadow_warning("strict")
    with pytest.raises(ProfileError) as caught:
        load("other")
    assert "-p ./other.toml" in caught.value.hints[0]
    assert load("./other.toml").network.mode == "host"
    assert load("other.toml").network.mode == "host"
    assert shadow_warning("./strict.toml") is None
    assert shadow_warning("grade") is None


def test_own_profile_by_name(own):
    path = own("mine", 'extends = ["strict"]\n[limits]\nwall = "1s"\n')
    assert load("mine").limits.wall == 1
    assert load("mine").origin == path
    assert load(path).digest == load("mine").digest


def test_own_profile_never_replaces_a_builtin(own):
    path = own("strict", '[network]\nmode = "host"\n')
    with pytest.raises(ProfileError, match="has the name of a built-in profile"):
        load("strict")
    with pytest.raises(ProfileError, match="built-in"):
        load(path)


def test_own_profile_has_its_files_name(own):
    own("mine", 'name = "strict"\n')
    with pytest.raises(ProfileError, match='name: expected "mine"'):
        load("mine")


def test_near_name():
    with pytest.raises(ProfileError, match=r"profile strikt: no profile has this name: did you mean strict\?") as caught:
        load("strikt")
    assert f"known profiles: {', '.join(BUILTIN)}" in caught.value.hints[-1]


def test_a_file_whose_name_is_no_profiles_name(own):
    own("my notes", 'extends = ["strict"]\n')
    with pytest.raises(ProfileError, match=r"^profile my notes: expected a name of letters") as caught:
        load("my notes")
    assert caught.value.hints[0].endswith("my notes.toml, or name it by its path")
    with pytest.raises(ProfileError, match=r"^profile my note: no profile has this name\n") as caught:
        load("my note")
    assert "my notes" not in caught.value.hints[-1]


# Merging


def test_extends_paths_are_relative_to_the_file(write):
    write("base/one.toml", '[limits]\nwall = "1s"\ncpu = "1s"\n')
    child = write("sub/child.toml", 'extends = ["../base/one.toml"]\n[limits]\ncpu = "2s"\n')
    assert (load(child).limits.wall, load(child).limits.cpu) == (1, 2)


def test_several_parents_and_a_diamond(write):
    write("base.toml", '[limits]\nwall = "1s"\ncpu = "1s"\n[filesystem]\nro = ["/a"]\n')
    write("left.toml", 'extends = ["base.toml"]\n[limits]\nwall = "2s"\n[filesystem]\nro = ["/b"]\n')
    write("right.toml", 'extends = ["base.toml"]\n[limits]\ncpu = "2s"\n[filesystem]\nro = ["/c"]\n')
    both = load(write("both.toml", 'extends = ["left.toml", "right.toml"]\n'))
    assert (both.limits.wall, both.limits.cpu) == (2, 2)
    assert [show.source for show in both.filesystem.ro] == ["/a", "/b", "/c"]


def test_cycle(write):
    write("a.toml", 'schema = 1\nextends = ["./b.toml"]\n')
    path = write("b.toml", 'extends = ["a.toml"]\n')
    with pytest.raises(ProfileError, match=r"a\.toml:2: extends: expected no cycle, got b -> a -> b"):
        load(path)


def test_own_parent(write):
    with pytest.raises(ProfileError, match=r"a\.toml:1: extends: expected no cycle, got a -> a"):
        load(write("a.toml", 'extends = ["a.toml"]\n'))


def test_depth_is_bounded(write):
    for number in range(30):
        write(f"p{number}.toml", f'extends = ["p{number + 1}.toml"]\n')
    write("p30.toml", "")
    assert load("./p20.toml").name == "p20"
    with pytest.raises(ProfileError, match="expected at most 16 profiles in a row"):
        load("./p0.toml")


def test_lists_append_and_remove(write):
    write("base.toml", '[filesystem]\nro = ["/a", "/b"]\ntmpfs = ["/tmp", "/big:1M"]\n')
    child = load(write("child.toml", 'extends = ["base.toml"]\n[filesystem]\nro = ["!/a", "/c"]\ntmpfs = ["!/big"]\n'))
    assert [show.source for show in child.filesystem.ro] == ["/b", "/c"]
    assert child.filesystem.tmpfs == (Tmpfs("/tmp", None),)


def test_a_profile_of_its_own_starts_from_nothing(write):
    alone = load(write("alone.toml", '[filesystem]\ntmpfs = ["/work"]\n[environment]\npass = ["PATH"]\nset = {}\n'))
    assert alone.filesystem.tmpfs == (Tmpfs("/work", None),)
    assert alone.environment.set == ()
    assert alone.environment.pass_ == ("PATH",)
    assert alone.limits == load("strict").limits


def test_later_word_on_a_variable_wins(write):
    child = load(write("c.toml", 'extends = ["strict"]\n[environment]\npass = ["PATH"]\nset = { LANG = "C" }\n'))
    assert dict(child.environment.set) == {"HOME": "/work", "LANG": "C"}
    assert child.environment.pass_ == ("LC_ALL", "TZ", "PATH")


def test_shown_folder_replaces_the_private_one():
    shown = load("strict", [from_text("filesystem.rw", ".:/work", "--rw .:/work")])
    assert shown.filesystem.rw == (Show(".", "/work"),)
    assert [each.destination for each in shown.filesystem.tmpfs] == ["/tmp", "/dev/shm"]
    sized = load("strict", [from_text("filesystem.tmpfs", "/tmp:1M", "--tmpfs /tmp:1M")])
    assert Tmpfs("/tmp", 1 << 20) in sized.filesystem.tmpfs
    assert Tmpfs("/tmp", None) not in sized.filesystem.tmpfs


# Overrides


def test_overrides_tighten_without_a_word():
    tighter = load("strict", [Override("limits.memory", "64M", "--memory 64M"), Override("limits.wall", 2, "--wall 2")])
    assert (tighter.limits.memory, tighter.limits.wall) == (64 << 20, 2.0)
    assert tighter.loosened == ()
    assert tighter.digest != load("strict").digest


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (Override("limits.memory", "1G", "--memory 1G"), "limits.memory: 256M -> 1G (--memory 1G)"),
        (Override("limits.wall", "off", "--wall off"), "limits.wall: 10s -> off (--wall off)"),
        (Override("network.mode", "host", "--net host"), "network.mode: none -> host (--net host)"),
        (Override("filesystem.rw", ["/data"], "--rw /data"), "filesystem.rw: not there -> /data (--rw /data)"),
        (Override("filesystem.root", "/", "--set r"), "filesystem.root: system -> / (--set r)"),
        (Override("require.layers", ["!net"], "--set x"), "require.layers: net -> not there (--set x)"),
        (Override("seccomp.allow", ["@unix"], "--set x"), "seccomp.allow: not there -> @unix (--set x)"),
        (Override("environment.pass", ["TOKEN"], "--env TOKEN"), "environment.pass: not there -> TOKEN (--env TOKEN)"),
        (Override("seccomp.violation", "record", "--set x"), "seccomp.violation: errno -> record (--set x)"),
    ],
)
def test_loosened(override, line):
    assert load("strict", [override]).loosened == (line,)


@pytest.mark.parametrize(
    "override",
    [
        Override("seccomp.deny", ["@threads"], ""),
        Override("landlock.drop", ["make_sock"], ""),
        Override("seccomp.violation", "kill", ""),
        Override("filesystem.exec", "none", ""),
        Override("filesystem.root", "empty", ""),
        Override("environment.set", {"A": "b"}, ""),
        Override("apparmor.profile", "jailpy-own", ""),
        Override("require.layers", ["apparmor"], ""),
        Override("environment.pass", ["!TZ"], ""),
    ],
)
def test_not_loosened(override):
    assert load("strict", [override]).loosened == ()


def test_all_bad_overrides_at_once():
    bad = [
        Override("limits.wal", 1, "--set limits.wal=1"),
        Override("limits.memory", "1Q", "--memory 1Q"),
        Override("filesystem.ro", ["a:b", "/proc"], "--ro ..."),
        Override("name", "x", "--set name=x"),
        Override("limits", 1, "--set limits=1"),
    ]
    with pytest.raises(ProfileError) as caught:
        load("strict", bad)
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "--set limits.wal=1", "--memory 1Q", "--ro ...", "--ro ...", "--set name=x", "--set limits=1",
    ]  # fmt: skip


def test_profiles_cannot_be_shown_writable(home):
    folder = locate.user_folder()
    for source in (folder, os.path.dirname(folder), "/", folder + "/sub"):
        destination = f"{source}:/data"
        with pytest.raises(ProfileError, match="without JailPy's own profiles"):
            load("strict", [Override("filesystem.rw", [destination], "--rw")])
    assert load("strict", [Override("filesystem.rw", [f"{home}/here:/data"], "--rw")]).filesystem.rw


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("limits.wall=2s", "limits.wall", "2s"),
        ("limits.wall = 2", "limits.wall", 2),
        ("limits.cpus=1.5", "limits.cpus", 1.5),
        ("limits.memory=64M", "limits.memory", "64M"),
        ('limits.memory="64M"', "limits.memory", "64M"),
        ("limits.processes=0x10", "limits.processes", 16),
        ("limits.processes=true", "limits.processes", True),
        ("network.mode=host", "network.mode", "host"),
        ("filesystem.ro=/opt", "filesystem.ro", ["/opt"]),
        ('filesystem.ro=["/a", "/b"]', "filesystem.ro", ["/a", "/b"]),
        ("seccomp.allow=@unix", "seccomp.allow", ["@unix"]),
        ("environment.set.A=b=c", "environment.set", {"A": "b=c"}),
        ('environment.set={A="b"}', "environment.set", {"A": "b"}),
        ("description=", "description", ""),
    ],
)
def test_parse_set(text, key, value):
    override = parse_set(text)
    assert (override.key, override.value, override.spelling) == (key, value, f"--set {text}")


@pytest.mark.parametrize("text", ["limits.wall", "", "a=[", 'a="', "a=[" * 3000])
def test_parse_set_refuses(text):
    with pytest.raises(ProfileError, match="--set"):
        parse_set(text)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("limits.processes", "8", 8),
        ("limits.processes", "off", "off"),
        ("limits.processes", "8.0", 8.0),
        ("limits.cpus", "0.5", 0.5),
        ("limits.wall", "2s", "2s"),
        ("filesystem.ro", "a", ["a"]),
    ],
)
def test_from_text(key, text, value):
    assert from_text(key, text, "").value == value


def test_env_option():
    assert from_text("environment.pass", "A=b=c", "--env").key == "environment.set"
    assert from_text("environment.pass", "A=b=c", "--env").value == {"A": "b=c"}
    assert from_text("environment.pass", "A", "--env").value == ["A"]


# Runtime presets


def test_java_fits_the_memory_that_it_is_given():
    java = load("strict", [Override("runtime", ["java"], "--runtime java"), Override("limits.memory", "512M", "--memory")])
    options = dict(java.environment.set)["JAVA_TOOL_OPTIONS"]
    assert "-Xmx256m" in options
    assert "-XX:ActiveProcessorCount=1" in options
    assert "{" not in options
    assert java.limits.processes >= 64
    assert "limits.processes: 32 -> 64 (runtime java)" in java.loosened


def test_an_option_beats_a_preset():
    java = load("strict", [Override("limits.processes", 40, "--processes 40"), Override("runtime", ["java"], "--runtime")])
    assert java.limits.processes == 40


def test_a_preset_raises_only():
    assert load("build", [Override("runtime", ["java"], "--runtime java")]).limits.processes == 256


def test_a_profile_may_name_a_preset(write):
    path = write("j.toml", 'extends = ["strict"]\nruntime = ["node", "blas"]\n[limits]\ncpus = 1.5\n')
    profile = load(path)
    assert dict(profile.environment.set)["OMP_NUM_THREADS"] == "2"
    assert profile.runtime == ("node", "blas")
    without = load(path, [Override("runtime", ["!blas"], "--set")])
    assert "OMP_NUM_THREADS" not in dict(without.environment.set)


def test_caller_python(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/srv/venv")
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    profile = load("strict", [Override("runtime", ["caller-python"], "--runtime caller-python")])
    assert profile.filesystem.ro == (Show("/srv/venv", ""),)
    assert dict(profile.environment.set)["PATH"] == "/srv/venv/bin:/usr/local/bin:/usr/bin:/bin"
    empty = load("strict", [parse_set("filesystem.root=empty"), parse_set("runtime=caller-python")])
    assert [show.source for show in empty.filesystem.ro] == ["/srv/venv", "/usr"]


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_preset_loads(name):
    for memory in ("16M", "off", "64G"):
        profile = load("strict", [parse_set(f"runtime={name}"), parse_set(f"limits.memory={memory}")])
        assert not any("{" in value or "}" in value for _, value in profile.environment.set)


# The cache


def test_an_edited_file_is_read_again(write, settled):
    path = write("mine.toml", '[limits]\nwall = "1s"\n')
    assert load(path).limits.wall == 1
    assert os.listdir(settled)
    write("mine.toml", '[limits]\nwall = "2s"\n')
    assert load(path).limits.wall == 2


def test_an_edited_parent_is_read_again(write, settled):
    write("base.toml", '[limits]\nwall = "1s"\n')
    path = write("mine.toml", 'extends = ["base.toml"]\n')
    assert load(path).limits.wall == 1
    os.replace(write("new.toml", '[limits]\nwall = "3s"\n'), "base.toml")
    assert load(path).limits.wall == 3
    os.unlink("base.toml")
    with pytest.raises(ProfileError):
        load(path)


def test_a_file_of_this_moment_is_not_kept(write):
    load(write("mine.toml", "schema = 1\n"))
    assert cache.load("profile", os.path.abspath("mine.toml")) is None


def test_cached_and_fresh_are_equal(settled):
    for name in BUILTIN:
        assert load(name) == load(name)
        assert cache.load("profile", locate.builtin_path(name)) is not None


_HOT = """
import sys
from jailpy.profile.load import load
{code}
print(*sorted(set(sys.modules) & {forbidden!r}))
"""


def _modules(code):
    script = _HOT.format(code=code, forbidden=FORBIDDEN)
    root = os.path.dirname(os.path.dirname(locate.BUILTIN_FOLDER))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {root!r}){script}"],
        capture_output=True, text=True, check=True, env=dict(os.environ),
    )  # fmt: skip
    return done.stdout.split()


OVERRIDDEN = """
from jailpy.profile.merge import Override
from jailpy.profile.overrides import from_text, parse_set
load("strict", [parse_set("limits.wall=2s"), from_text("filesystem.ro", "a.py", "--ro"), parse_set("runtime=java")])
"""


def test_a_hit_imports_no_heavy_module(settled):
    assert "tomllib" in _modules("load('strict')")
    load("strict", [parse_set("runtime=java")])
    assert _modules("load('strict')") == []
    assert _modules(OVERRIDDEN) == []


def test_every_option_has_one_key():
    options = [key.option for key in KEYS.values() if key.option and key.kind != "table"]
    assert len(options) == len(set(options))


def test_names_that_are_not_utf_8():
    shown = load("strict", [Override("filesystem.ro", ["a\udcff"], "--ro a\udcff")])
    assert shown.filesystem.ro == (Show("a\udcff", ""),)
    assert shown.loosened == (r"filesystem.ro: not there -> a\udcff (--ro a\udcff)",)
    assert os.fsencode(shown.filesystem.ro[0].source) == b"a\xff"


def test_a_cached_profile_cannot_show_profiles_writable(write, settled, home, monkeypatch):
    path = write("w.toml", f'extends = ["strict"]\n[filesystem]\nrw = ["{home}/here/x:/data"]\n')
    assert load(path).filesystem.rw
    monkeypatch.setenv("XDG_CONFIG_HOME", f"{home}/here/x")
    with pytest.raises(ProfileError, match="without JailPy's own profiles"):
        load(path)
