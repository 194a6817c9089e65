"""A corpus of bad profiles: every problem is named with its line, and nothing but ProfileError comes out."""

from __future__ import annotations

import os
import time

import pytest

from jailpy.errors import ProfileError
from jailpy.profile.load import load

CORPUS = {
    "unknown key": ("schema = 1\n\n[limits]\nwal = 1\n", ["4: limits.wal: unknown key: did you mean limits.wall?"]),
    "unknown table": ("[limit]\nwall = 1\n", ["1: limit: unknown key: did you mean limits?"]),
    "unknown key at the top": ('\nwall = "1s"\n', ["2: wall: unknown key"]),
    "a table as a value": ("limits = 3\n", ["1: limits: expected a table: [limits]"]),
    "no TOML": ("a = \n", ["1: not TOML"]),
    "an open string": ('x = "\n', ["1: not TOML"]),
    "an open list": ('schema = 1\nextends = ["strict"\n', ["2: not TOML"]),
    "a duplicate key": ("[limits]\nwall = 1\nwall = 2\n", ["3: not TOML"]),
    "a duplicate table": ("[limits]\nwall = 1\n[limits]\n", ["3: not TOML"]),
    "a schema of the future": ("schema = 2\n", ["1: schema: expected 1"]),
    "schema true": ("schema = true\n", ["1: schema: expected 1"]),
    "a bool as an integer": ("[limits]\n\nprocesses = true\n", ["3: limits.processes: expected an integer"]),
    "a number as a text": ('[limits]\nprocesses = "8"\n', ["2: limits.processes: expected an integer"]),
    "a fraction of a byte": ("[limits]\nmemory = 1.5\n", ["2: limits.memory: expected a size"]),
    "a negative size": ("[limits]\nmemory = -1\n", ["2: limits.memory: expected a size from 1M to"]),
    "a negative size as text": ('[limits]\nmemory = "-1"\n', ["2: limits.memory: expected a size such as"]),
    "no memory": ("[limits]\nmemory = 0\n", ["2: limits.memory: expected a size from 1M to"]),
    "a disk without a bound": ("[limits]\ndisk = 0\n", ["2: limits.disk: expected a size from 4K to"]),
    "a size that would wrap": ('[limits]\nmemory = "17179869184G"\n', ["2: limits.memory: expected a size from"]),
    "2 to the 64": (f"[limits]\nmemory = {2**64}\n", ["2: limits.memory: expected a size from"]),
    "a thousand digits": (f"[limits]\nmemory = {'9' * 1000}\n", ["2: limits.memory: expected a size from"]),
    "ten thousand digits": (f"[limits]\nmemory = {'9' * 10000}\n", [": not TOML"]),
    "disk off": ('[limits]\ndisk = "off"\n', ["2: limits.disk: expected a size such as"]),
    "no time": ("[limits]\nwall = 0\n", ["2: limits.wall: expected a duration from 1ms"]),
    "NaN": ("[limits]\nwall = nan\n", ["2: limits.wall: expected a duration from 1ms"]),
    "infinity": ("[limits]\ncpus = inf\n", ["2: limits.cpus: expected a number from 0.01"]),
    "minus infinity": ("[limits]\ncpu = -inf\n", ["2: limits.cpu: expected a duration from 1ms"]),
    "eleven years": ('[limits]\nwall = "96420h"\n', ["2: limits.wall: expected a duration from 1ms to 3650 days"]),
    "a date": ("[limits]\nwall = 1979-05-27\n", ["2: limits.wall: expected a duration such as"]),
    "root inside": ("[identity]\nuid = 0\n", ["2: identity.uid: expected an integer from 1 to 4294967294"]),
    "the id that is none": ("[identity]\ngid = 4294967295\n", ["2: identity.gid: expected an integer from 1"]),
    "a host name": ('[identity]\nhostname = "-a b"\n', ["2: identity.hostname: expected a host name"]),
    "a layer": ('[require]\nlayers = ["net",\n  "secomp"]\n', ["3: require.layers: expected one of user, mount"]),
    "a list of numbers": ("[filesystem]\nro = [1]\n", ["2: filesystem.ro: expected a text in quotes, got 1"]),
    "a text for a list": ('[filesystem]\nro = "a"\n', ['2: filesystem.ro: expected a list of "SRC" or "SRC:DST"']),
    "a relative destination": ('[filesystem]\nro = ["a:b"]\n', ["2: filesystem.ro: expected SRC:DST with an absolute"]),
    "climbing": ('[filesystem]\nrw = ["a:/b/../c"]\n', ["2: filesystem.rw: expected an absolute destination without"]),
    "over the root": ('[filesystem]\nro = ["/"]\n', ['2: filesystem.ro: expected a destination below "/"']),
    "over /proc": ('[filesystem]\ncow = ["a://proc/"]\n', ["2: filesystem.cow: expected a destination outside /proc"]),
    "below /proc": ('[filesystem]\nro = ["a:/proc/1"]\n', ["2: filesystem.ro: expected a destination outside /proc"]),
    "below /dev": (
        '[filesystem]\ntmpfs = ["/dev/pts"]\n',
        ["2: filesystem.tmpfs: expected a destination outside /dev"],
    ),
    "tmpfs without a bound": ('[filesystem]\ntmpfs = ["/a:0"]\n', ["2: filesystem.tmpfs: expected a size of at least"]),
    "a NUL byte": ('[filesystem]\nro = ["a\\u0000b"]\n', ["2: filesystem.ro: expected a text without NUL bytes"]),
    "a NUL in a variable": (
        '[environment]\nset = { A = "\\u0000" }\n',
        ["2: environment.set: expected a text without"],
    ),
    "a variable's name": ('[environment]\npass = ["A=b"]\n', ["2: environment.pass: expected a variable's name"]),
    "a variable's value": (
        "[environment]\nset = { A = 1 }\n",
        ["2: environment.set: expected a text in quotes, got 1"],
    ),
    "a relative workdir": ('[filesystem]\nworkdir = "work"\n', ["2: filesystem.workdir: expected an absolute path"]),
    "a climbing workdir": ('[filesystem]\nworkdir = "/a/.."\n', ["2: filesystem.workdir: expected an absolute path"]),
    "workdir in /proc": (
        '[filesystem]\nworkdir = "/proc/1"\n',
        ["2: filesystem.workdir: expected a working directory"],
    ),
    "a root that is no path": (
        '[filesystem]\nroot = "debian"\n',
        ['2: filesystem.root: expected "system", "empty" or'],
    ),
    "a choice": ('[filesystem]\nexec = "some"\n', ['2: filesystem.exec: expected "none" or "system" or "any"']),
    "a mode": ('[network]\nmode = "HOST"\n', ['2: network.mode: expected "none" or "loopback" or "host"']),
    "a group": (
        '[seccomp]\nallow = ["@defualt"]\n',
        ["2: seccomp.allow: expected a group that exists, got @defualt: did"],
    ),
    "a call": (
        '[seccomp]\ndeny = ["ptrac"]\n',
        ["2: seccomp.deny: expected a system call that exists, got ptrac: did"],
    ),
    "a call's syntax": (
        '[seccomp]\ndeny = ["../x"]\n',
        ["2: seccomp.deny: expected a system call's name or an @group"],
    ),
    "a right": ('[landlock]\ndrop = ["exec"]\n', ["2: landlock.drop: expected one of execute"]),
    "a preset": ('runtime = ["cobol"]\n', ["1: runtime: expected one of java, node"]),
    "a name": ('name = "../x"\n', ["1: name: expected a name of letters"]),
    "no such parent": (
        'extends = [\n  "strict",\n  "nothere",\n]\n',
        ["3: extends: expected a profile's name or path"],
    ),
    "no such file": ('extends = ["./nothere.toml"]\n', ["nothere.toml: cannot be opened: No such file"]),
    "removing what is not there": (
        'extends = ["strict"]\n[seccomp]\nallow = ["!ptrace"]\n',
        ['3: seccomp.allow: expected an entry "ptrace" before "!ptrace" removes it; what a group allows is denied by'],
    ),
    "removing from nothing": (
        '[require]\nlayers = ["!landlock"]\n',
        ['2: require.layers: expected an entry "landlock"'],
    ),
    "one place twice": (
        '[filesystem]\nro = ["/a:/x"]\nrw = [\n"/b:/x/"]\n',
        ["4: filesystem.rw: expected one entry for /x, which filesystem.ro /a:/x shows already"],
    ),
    "one default place twice": (
        '[filesystem]\nro = ["d/a", "e/a"]\n',
        ["2: filesystem.ro: expected one entry for /work/a"],
    ),
    "more than the disk": (
        '[filesystem]\ntmpfs = ["/a:40M", "/b:40M"]\n',
        ["2: filesystem.tmpfs: expected sizes of at most limits.disk (64M) together, got 80M"],
    ),
    "all at once": (
        'schema = 1\ntypo = 1\n[limits]\nwall = "x"\ncpu = true\n[filesystem]\nro = ["a:b",\n "c:d"]\n',
        ["2: typo: ", "4: limits.wall: ", "5: limits.cpu: ", "7: filesystem.ro: ", "8: filesystem.ro: "],
    ),
    "lines after odd syntax": (
        '# [limits]\n"schema" = 1\ndescription = """\nwall = 0\n[x]\n"""\n[ "limits" ]\n\'wall\' = 0 # wall = 1\n',
        ["8: limits.wall: "],
    ),
    "a dotted key": ('limits.cpu = 1\nlimits.wall = "x"\n', ["2: limits.wall: "]),
    "not UTF-8": (b"schema = 1\nname = '\xff'\n", ["2: expected UTF-8 text"]),
    "escapes in a key": ('"a\\u001b]52;" = 1\n', [r"1: a\x1b]52;: unknown key"]),
    "deep lists": ("x = " + "[" * 100_000, [": expected lists and tables nested less deeply"]),
    "deep tables": ("x = " + "{a=" * 100_000, [": expected lists and tables nested less deeply"]),
    "a deep key": (".".join("a" * 200_000) + " = 1\n", ["1: expected at most 16 parts in a key"]),
    "a deep header": ("\n[" + ".".join("a" * 200_000) + "]\n", ["2: expected at most 16 parts in a key"]),
    "too large": ("#" * (1 << 20) + "\n", ["expected a profile of at most 1 MiB, got 1048577 bytes"]),
}


@pytest.mark.parametrize("case", CORPUS)
def test_bad_file(write, case):
    text, expected = CORPUS[case]
    path = write("bad.toml", text)
    with pytest.raises(ProfileError) as caught:
        load(path)
    problems = caught.value.problems
    assert len(problems) == len(expected), problems
    for problem, words in zip(problems, expected, strict=True):
        place = f"bad.toml:{words}" if words[0].isdigit() else words
        assert place in problem
        assert problem.isprintable()


def test_good_file_passes(write):
    """The positive control: the same shapes with values that can be used."""
    text = '[limits]\nwall = 1\nmemory = "64M"\n[filesystem]\nro = ["a:/b"]\n[seccomp]\ndeny = ["ptrace", "@io"]\n'
    assert load(write("good.toml", text)).limits.wall == 1


def test_many_problems_are_bounded_in_time(write):
    text = "".join(f"key{number} = 1\n" for number in range(50_000))
    start = time.monotonic()
    with pytest.raises(ProfileError) as caught:
        load(write("bad.toml", text))
    assert 100 <= len(caught.value.problems) <= 200
    assert time.monotonic() - start < 20


def test_one_problem_is_the_message(write):
    with pytest.raises(ProfileError) as caught:
        load(write("bad.toml", "typo = 1\n"))
    assert caught.value.message == caught.value.problems[0]


def test_fifo_does_not_block(home):
    os.mkfifo("fifo.toml")
    with pytest.raises(ProfileError, match="not a regular file"):
        load("./fifo.toml")


@pytest.mark.parametrize("path", ["/dev/zero", "/", "/proc/self/mem/", "./" + "x" * 5000])
def test_what_is_no_file(path):
    with pytest.raises(ProfileError, match=r"not a regular file|cannot be opened"):
        load(path)


def test_a_huge_file_is_not_read(home):
    with open("huge.toml", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ProfileError, match="at most 1 MiB, got 1099511627776 bytes"):
        load("./huge.toml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(write):
    path = write("secret.toml", "schema = 1\n")
    assert load(path).name == "secret"
    os.chmod(path, 0)
    with pytest.raises(ProfileError, match="Permission denied"):
        load(path)


@pytest.mark.parametrize("name", ["", "a\0b", "nothere", "../x\x1b[0m", "a b", ".", "-", "strict\n"])
def test_no_such_name(name):
    with pytest.raises(ProfileError) as caught:
        load(name)
    assert caught.value.message.isprintable()
