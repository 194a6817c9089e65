"""`jailpy run`: every toolchain that is here, compile errors, what the program sees, statuses, --keep."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from jailpy.services import languages
from tests.core import eventually, start

PROGRAMS = {
    "c": (
        "a.c",
        '#include <stdio.h>\nint main(int c, char **v) { char s[9]; scanf("%8s", s); printf("%s %s", v[1], s); return 3; }\n',
    ),
    "cpp": (
        "a.cpp",
        '#include <iostream>\nint main(int c, char **v) { std::string s; std::cin >> s; std::cout << v[1] << " " << s; return 3; }\n',
    ),
    "python3": ("a.py", "import sys\nprint(sys.argv[1], input(), end='')\nsys.exit(3)\n"),
    "java": (
        "Odd.java",
        (
            "public class Odd { public static void main(String[] a) {\n"
            'System.out.print(a[0] + " " + new java.util.Scanner(System.in).next()); System.exit(3); } }\n'
        ),
    ),
    "javascript": (
        "a.js",
        "process.stdout.write(process.argv[2] + ' ' + require('fs').readFileSync(0, 'utf8').trim())\nprocess.exitCode = 3\n",
    ),
    "rust": (
        "a.rs",
        (
            "fn main() { let mut s = String::new(); std::io::stdin().read_line(&mut s).unwrap();\n"
            'print!("{} {}", std::env::args().nth(1).unwrap(), s.trim()); std::process::exit(3) }\n'
        ),
    ),
    "go": (
        "a.go",
        'package main\nimport ("fmt"; "os")\nfunc main() { var s string; fmt.Scan(&s); fmt.Print(os.Args[1], " ", s); os.Exit(3) }\n',
    ),
    "bash": ("a.sh", 'read -r s\nprintf "%s %s" "$1" "$s"\nexit 3\n'),
    "perl": ("a.pl", 'my $s = <STDIN>; chomp $s;\nprint "$ARGV[0] $s"; exit 3;\n'),
    "ruby": ("a.rb", 'print ARGV[0], " ", STDIN.gets.strip\nexit 3\n'),
    "php": ("a.php", '<?php echo $argv[1], " ", trim(fgets(STDIN)); exit(3);\n'),
    "haskell": (
        "a.hs",
        'import System.Environment\nimport System.Exit\nmain = do { [a] <- getArgs; s <- getLine; putStr (a ++ " " ++ s); exitWith (ExitFailure 3) }\n',
    ),
    "ocaml": ("a.ml", 'let () = Printf.printf "%s %s%!" Sys.argv.(1) (read_line ()); exit 3\n'),
    "pascal": ("a.pas", "var s: string;\nbegin readln(s); write(paramstr(1), ' ', s); halt(3); end.\n"),
    "kotlin": (
        "a.kt",
        'fun main(a: Array<String>) { print(a[0] + " " + readLine()); kotlin.system.exitProcess(3) }\n',
    ),
}


def jail_run(jailpy, *words, stdin="there\n", **options):
    return subprocess.run([jailpy, "run", *words], input=stdin, capture_output=True, text=True, timeout=100, **options)


def test_every_language_has_a_program_here():
    assert set(PROGRAMS) == set(languages.load())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_is_compiled_leaves_no_folder(jailpy, tmp_path, number):
    """`perl -c` executes BEGIN."""
    source, temporary = tmp_path / "a.pl", tmp_path / "tmp"
    source.write_text("BEGIN { print STDERR 'x'; sleep 60 }\n")
    temporary.mkdir()
    with start(jailpy, source, verb="run", env={**os.environ, "TMPDIR": str(temporary)}) as process:
        assert eventually(lambda: list(temporary.glob("jailpy-run-*/kept")))
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("code", PROGRAMS)
def test_a_program_of_each_language(jailpy, need_tool, tmp_path, code):
    language = languages.load()[code]
    if language.missing():
        need_tool(language.missing())
    for command in filter(None, (language.compile, language.run)):
        if "{" not in command[0]:
            need_tool(command[0])
    name, text = PROGRAMS[code]
    (tmp_path / name).write_text(text)
    done = jail_run(jailpy, str(tmp_path / name), "hello")
    assert (done.stdout, done.returncode) == ("hello there", 3), done.stderr
    assert os.listdir(tmp_path) == [name]


def test_a_missing_toolchain_names_the_package(jailpy, tmp_path):
    own = tmp_path / "config" / "jailpy"
    own.mkdir(parents=True)
    (own / "languages.toml").write_text(
        '[odd]\nname = "Odd"\nsuffixes = [".odd"]\nrun = ["no-such-tool", "{main}"]\npackage = "odd-tools"\n'
        '[mine]\nname = "Mine"\nsuffixes = [".mine"]\nrun = ["bash", "{main}"]\npackage = "bash"\n'
    )
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    for name in ("a.odd", "a.mine"):
        (tmp_path / name).write_text("read -r x; echo $x\n")
    done = jail_run(jailpy, str(tmp_path / "a.odd"), env=environment)
    assert (done.returncode, done.stderr) == (125, "jailpy: error: Odd: no no-such-tool here: apt install odd-tools\n")
    assert jail_run(jailpy, str(tmp_path / "a.mine"), env=environment).stdout == "there\n"


def test_a_wrong_file_of_languages_is_named(jailpy, tmp_path):
    own = tmp_path / "config" / "jailpy"
    own.mkdir(parents=True)
    (own / "languages.toml").write_text('[odd]\nname = "Odd"\nsuffix = ".odd"\n')
    (tmp_path / "a.py").write_text("print(1)\n")
    done = jail_run(jailpy, str(tmp_path / "a.py"), env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")})
    assert done.returncode == 125
    assert "languages.toml: odd: " in done.stderr


def test_a_program_that_does_not_compile(jailpy, need_tool, tmp_path):
    need_tool("gcc")
    (tmp_path / "a.c").write_text("int main() { return x; }\n")
    report = tmp_path / "report.json"
    done = jail_run(jailpy, "--report", str(report), str(tmp_path / "a.c"))
    assert done.returncode == 125
    assert "undeclared" in done.stderr
    assert "a.c: does not compile: gcc: nonzero_exit\n" in done.stderr
    assert json.loads(report.read_text())["verdict"] == "not_started"


def test_the_compiler_reads_nothing_of_the_host(jailpy, need_tool, tmp_path):
    """Untrusted source can name any file; the jail has only the source."""
    need_tool("gcc")
    secret = tmp_path / "secret"
    secret.write_text("int secret = 7;\n")
    (tmp_path / "a.c").write_text(f'#include "{secret}"\nint main(void) {{ return secret; }}\n')
    assert "No such file" in jail_run(jailpy, str(tmp_path / "a.c")).stderr
    control = subprocess.run(["gcc", "-o", str(tmp_path / "prog"), str(tmp_path / "a.c")], check=False)
    assert control.returncode == 0


def test_options_are_those_of_exec(jailpy, tmp_path):
    (tmp_path / "a.py").write_text("x = bytearray(10**9)\n")
    report = tmp_path / "report.json"
    done = jail_run(jailpy, "--memory", "64M", "--report", str(report), str(tmp_path / "a.py"))
    assert done.returncode == 137
    assert json.loads(report.read_text())["evidence"]["configured"] == 64 << 20


def test_the_program_sees_only_itself(jailpy, need_tool, tmp_path):
    need_tool("gcc")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "a.c").write_text('#include <stdlib.h>\nint main(void) { return system("ls -A /work; ls -A /tmp"); }\n')
    assert jail_run(jailpy, str(tmp_path / "a.c")).stdout == "program\n"


def test_keep_follows_no_link(jailpy, need_tool, tmp_path):
    need_tool("gcc")
    (tmp_path / "a.c").write_text("int main(void) { return 5; }")
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "kept").symlink_to("victim")
    (tmp_path / "folder").mkdir()
    done = jail_run(jailpy, "--keep", str(tmp_path / "kept"), str(tmp_path / "a.c"))
    assert (tmp_path / "victim").read_text() == "untouched"
    assert done.returncode == 125
    assert "is a symbolic link" in done.stderr
    assert jail_run(jailpy, "--keep", str(tmp_path / "folder"), str(tmp_path / "a.c")).returncode == 5
    assert [os.access(path, os.X_OK) for path in (tmp_path / "folder").iterdir()] == [True]


def test_keep_saves_the_binary(jailpy, need_tool, tmp_path):
    need_tool("gcc")
    (tmp_path / "a.c").write_text("int main(void) { return 5; }\n")
    kept = tmp_path / "kept"
    assert jail_run(jailpy, "--keep", str(kept), str(tmp_path / "a.c")).returncode == 5
    assert subprocess.run([kept], check=False).returncode == 5
    (tmp_path / "a.py").write_text("print(1)\n")
    done = jail_run(jailpy, "--keep", str(kept), str(tmp_path / "a.py"))
    assert (done.returncode, done.stderr) == (125, "jailpy: error: option --keep: Python 3 makes no binary\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "file: none was given"),
        (["--langauge", "c", "odd"], "option --langauge: there is none of this name\njailpy: hint: did you mean --language?"),
        (["-dash.py"], "option -d: there is none of this name\njailpy: hint: --help lists the options"),
        (["nowhere.py"], "file: nowhere.py: No such file or directory"),
        (["odd"], "file: odd: neither its name nor its first line says a language"),
        (["--language", "cobol", "odd"], "option --language: no language 'cobol'"),
        (["--no-such", "odd"], "option --no-such"),
    ],
)
def test_wrong_use_is_one_line(jailpy, tmp_path, words, said):
    (tmp_path / "odd").write_text("nothing\n")
    done = jail_run(jailpy, *words, cwd=tmp_path)
    assert done.returncode == 125
    assert done.stderr.startswith(f"jailpy: error: {said}")


def test_a_first_line_says_the_language(jailpy, tmp_path):
    (tmp_path / "script").write_text("#!/usr/bin/env python3\nprint(input())\n")
    assert jail_run(jailpy, str(tmp_path / "script")).stdout == "there\n"


def test_help(jailpy):
    done = subprocess.run([jailpy, "run", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "--keep FILE" in done.stdout
    assert "--memory SIZE" in done.stdout
