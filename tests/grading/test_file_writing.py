"""`allow_file_writing` of the package format: a submission that may only read can create, change and remove nothing."""

from __future__ import annotations

import pytest

from jailpy.services.grading.explain import explain
from jailpy.services.grading.problem import Problem
from tests.grading.conftest import submission, write

NEW = "problem_format_version: 2025-09\nname: Files\nuuid: 5b0d3f4e-6c1a-4c55-9d44-3c0d4f0f8a11\nlimits: {time_limit: 2, memory: 512}\n"
SHOWN = {"data/secret/1.in": "\n", "data/secret/1.files/table.txt": "7\n"}
# Prints how many ways to change something there are; every test also reads a file, and writes to /dev/null.
PYTHON = """
import os, shutil
def ways():
    here = __file__
    yield lambda: open("new", "w").close()
    yield lambda: open("/tmp/new", "w").close()
    yield lambda: open("/dev/shm/new", "w").close()
    yield lambda: os.mkdir("folder")
    yield lambda: os.mkfifo("pipe")
    yield lambda: os.symlink("a", "b")
    yield lambda: os.rename("table.txt", "other")
    yield lambda: os.link("table.txt", "same")
    yield lambda: os.truncate(here, 0)
    yield lambda: print("#", file=open(here, "a"), flush=True)
    yield lambda: os.unlink(here)
def works(way):
    try:
        way()
    except OSError:
        return False
    return True
open("/dev/null", "w").write("nothing")
print(int(open("table.txt").read()), sum(map(works, ways())))
"""
C = """
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
int main(void) {
    int value, ways = (open("new", O_CREAT | O_WRONLY, 0600) >= 0) + (mkdir("/tmp/folder", 0700) == 0) + (remove("program") == 0);
    if (fscanf(fopen("table.txt", "r"), "%d", &value) == 1) printf("%d %d\\n", value, ways);
}
"""
JAVA = """
public class Main {
    public static void main(String[] words) throws Exception {
        int ways = 0;
        try { ways += new java.io.File("new").createNewFile() ? 1 : 0; } catch (java.io.IOException refused) { }
        System.out.println(new String(java.nio.file.Files.readAllBytes(java.nio.file.Path.of("table.txt"))).strip() + " " + ways);
    }
}
"""
PROGRAMS = {"a.py": PYTHON, "a.c": C, "Main.java": JAVA}
PROFILES = ["strict", pytest.param("grade-container", marks=pytest.mark.root)]


def package(tmp_path, settings, answer="7 0\n"):
    return write(tmp_path / "files", {"problem.yaml": NEW + settings, **SHOWN, "data/secret/1.ans": answer})


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("settings", ["", "allow_file_writing: false\n"])
def test_files_can_only_be_read(judge_of, tmp_path, need_tool, settings, name, profile):
    need_tool({"a.c": "gcc", "Main.java": "javac"}.get(name, "python3"))
    judge = judge_of(package(tmp_path, settings), profile=profile)
    found = judge.judge(submission(name, PROGRAMS[name]))
    assert (found.verdict, found.tests[0].output.text) == ("AC", "7 0\n"), found


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_files_can_be_written_where_the_package_says_so(judge_of, tmp_path, need_tool, name, profile):
    need_tool({"a.c": "gcc", "Main.java": "javac"}.get(name, "python3"))
    judge = judge_of(package(tmp_path, "allow_file_writing: true\n"), profile=profile)
    found = judge.judge(submission(name, PROGRAMS[name]))
    value, ways = found.tests[0].output.text.split()
    assert (found.verdict, value) == ("WA", "7")
    assert int(ways) >= (5 if name == "a.py" else 1)


def test_a_program_that_needs_a_file_fails_with_what_the_kernel_says(judge_of, tmp_path):
    test = judge_of(package(tmp_path, "")).judge(submission("a.py", "open('new', 'w')\n")).tests[0]
    assert (test.verdict, test.exit_code) == ("RTE", 1)
    assert "PermissionError" in test.error_output.text


@pytest.mark.root
def test_a_copy_that_is_written_to_is_told_as_such(judge_of, tmp_path):
    """In a plain container the files are the payload's own copies; C's write is ended by SIGXFSZ."""
    judge = judge_of(package(tmp_path, ""), profile="grade-container")
    text = (
        '#include <stdio.h>\nint main(void) { FILE *file = fopen("table.txt", "r+"); fputs("8", file); return fclose(file); }\n'
    )
    test = judge.judge(submission("a.c", text)).tests[0]
    assert test.verdict == "FLE"
    assert explain(test) == "Your program wrote to a file: this problem lets it read files only."


@pytest.mark.parametrize("profile", PROFILES)
def test_in_a_conversation_too(judge_of, tmp_path, profile):
    """What it writes to standard error is kept in a file of the judge's, and is all there."""
    validator = 'import sys\nprint("go", flush=True)\nsys.exit(42 if input() == "0" else 43)\n'
    files = {
        "problem.yaml": NEW + "type: interactive\n",
        "output_validator/talk.py": validator,
        **SHOWN,
        "data/secret/1.ans": "",
    }
    judge = judge_of(write(tmp_path / "talk", files), profile=profile)
    text = (
        "import sys\ninput()\nprint('x' * 9999, file=sys.stderr, flush=True)\n"
        "try: open('new', 'w')\nexcept OSError: print(0)\nelse: print(1)\n"
    )
    found = judge.judge(submission("a.py", text))
    assert (found.verdict, found.tests[0].error_output.total_bytes) == ("AC", 10000), found
    files["problem.yaml"] += "allow_file_writing: true\n"
    open_judge = judge_of(write(tmp_path / "open", files), profile=profile)
    assert open_judge.judge(submission("a.py", text)).verdict == "WA"


def test_older_packages_and_plain_folders_let_files_be_written(tmp_path, sums):
    assert Problem.load(sums).limits.file_writing
    old = write(tmp_path / "old", {"problem.yaml": "name: Files\n", **SHOWN, "data/secret/1.ans": "7\n"})
    assert Problem.load(old).limits.file_writing
    draft = write(tmp_path / "draft", {"problem.yaml": NEW.replace("2025-09", "2023-07-draft"), **SHOWN})
    assert not Problem.load(draft).limits.file_writing
