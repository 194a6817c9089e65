"""`Filter` with real programs: ImageMagick, pandoc and its filters, hooks of git. Their inputs try what such inputs have tried."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import textwrap

import pytest

import jailpy

pytestmark = pytest.mark.usefixtures("nothing_left")
IMAGEMAGICK = "/usr/bin/convert"
HEAD = 'schema = 1\nname = "{name}"\nfilter = {command}\n[asks]\n{asks}\n'
EXECUTES = 'schema = 1\nname = "hooks"\nextends = ["plugin"]\n[filesystem]\nexec = "system"\n'
GIT = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


@pytest.fixture
def image(need_tool):
    """Return a JPEG image, made by ImageMagick."""
    need_tool("convert")
    made = subprocess.run([IMAGEMAGICK, "-size", "640x480", "gradient:red-blue", "jpg:-"], capture_output=True, check=True)
    return made.stdout


@pytest.fixture
def package(tmp_path):
    """Return a function that writes a filter's package and returns its folder."""

    def write(name, command, file, text, asks=""):
        folder = tmp_path / name
        folder.mkdir()
        (folder / file).write_text(textwrap.dedent(text))
        (folder / "jailpy-plugin.toml").write_text(HEAD.format(name=name, command=json.dumps(command), asks=asks))
        return folder

    return write


def pixel(data):
    pillow = pytest.importorskip("PIL.Image")
    with pillow.open(io.BytesIO(data)) as picture:
        return picture.format, picture.size, picture.convert("RGB").getpixel((0, 0))


def test_an_image_converter(image):
    convert = jailpy.Filter([IMAGEMAGICK, "jpg:-"], manifest={"asks": {"memory": "128M", "wall": "5s"}})
    kind, size, (red, _, blue) = pixel(convert(image, "-resize", "50%", "png:-"))
    assert (kind, size, red > 240, blue < 15) == ("PNG", (320, 240), True, True)
    assert pixel(convert(image, "-resize", "10x10!", "webp:-"))[:2] == ("WEBP", (10, 10))
    with pytest.raises(jailpy.PluginError, match="convert: ended without a result: nonzero_exit, status 1: "):
        convert(image[:100].replace(b"JFIF", b"JUNK") + b"\0" * 100, "png:-")


def test_an_image_that_asks_for_too_much(image):
    convert = jailpy.Filter([IMAGEMAGICK, "mvg:-", "png:-"], manifest={"asks": {"memory": "64M", "cpu": "2s", "wall": "20s"}})
    with pytest.raises(jailpy.PluginError) as caught:
        convert(b"push graphic-context\nviewbox 0 0 12000 12000\nfill red\nrectangle 0,0 11999,11999\npop graphic-context\n")
    assert caught.value.report["verdict"] in ("memory_limit", "cpu_limit", "disk_limit"), caught.value
    assert pixel(convert(b"viewbox 0 0 8 8 fill red rectangle 0,0 7,7"))[1:] == ((8, 8), (255, 0, 0))


def test_an_image_that_shows_a_file_of_the_host(image, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(image)
    drawing = f"viewbox 0 0 640 480 image Over 0,0 640,480 '{tmp_path}/secret.jpg'".encode()
    command = [IMAGEMAGICK, "mvg:-", "png:-"]
    outside = subprocess.run(command, input=drawing, capture_output=True, check=False)
    red = (254, 0, 0)
    assert pixel(outside.stdout)[2] == red, outside.stderr  # the control
    inside = jailpy.Filter(command).run(drawing)
    assert not inside.stdout or pixel(inside.stdout)[2] != red
    shown = jailpy.Filter(command, manifest={"asks": {"read": [f"{tmp_path}/secret.jpg"]}}, grants={"read": [str(tmp_path)]})
    assert pixel(shown(drawing))[2] == red


def test_pandoc(need_tool, tmp_path):
    need_tool("pandoc")
    convert = jailpy.Filter(["pandoc", "--from=rst"])
    assert convert("*a*\n") == b"<p><em>a</em></p>\n"
    assert convert("*a*\n", "--to=docx", "--output=-")[:2] == b"PK"
    (tmp_path / "secret.rst").write_text("of the host")
    document = f"before\n\n.. include:: {tmp_path}/secret.rst\n"
    command = ["pandoc", "--from=rst"]
    outside = subprocess.run(command, input=document.encode(), capture_output=True, check=True)
    assert b"of the host" in outside.stdout  # the control
    done = convert.run(document)
    assert (b"before" in done.stdout, b"of the host" in done.stdout + done.stderr) == (True, False)


def test_a_filter_of_pandoc(need_tool, package):
    need_tool("pandoc")
    source = """
        import json, sys

        def louder(node):
            if isinstance(node, list):
                return [louder(entry) for entry in node]
            if not isinstance(node, dict):
                return node
            if node.get("t") == "Str":
                return {"t": "Str", "c": node["c"].upper()}
            return {key: louder(entry) for key, entry in node.items()}

        try:
            open("stolen", "w")
        except OSError:
            json.dump(louder(json.load(sys.stdin)), sys.stdout)
    """
    loud = jailpy.Filter(package("loud", ["/usr/bin/python3", "loud.py"], "loud.py", source))
    tree = jailpy.Filter(["pandoc", "--to=json"])("# ant *bee*\n")
    assert jailpy.Filter(["pandoc", "--from=json"])(loud(tree, "html")) == b'<h1 id="ant-bee">ANT <em>BEE</em></h1>\n'


def git(folder, *args, check=True, **more):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **GIT, **more}
    return subprocess.run(["git", *args], cwd=folder, env=env, capture_output=True, text=True, check=check)


@pytest.fixture
def repositories(need_tool, tmp_path):
    """Return a bare repository, and a work folder with one commit that pushes to it."""
    need_tool("git")
    bare, work = tmp_path / "bare.git", tmp_path / "work"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(work))
    git(work, "remote", "add", "origin", str(bare))
    git(work, "commit", "--quiet", "--allow-empty", "--message=first")
    return bare, work


def hook(path, folder, profile, body):
    """Write a hook of git that runs the filter of a folder, as an application's author would."""
    lines = [
        f"#!{sys.executable}",
        "import os, sys, jailpy",
        f"check = jailpy.Filter({str(folder)!r}, profile={str(profile)!r},",
    ]
    lines += ["    grants={'read': [os.getcwd()], 'environment': [name for name in os.environ if name.startswith('GIT_')]})"]
    path.write_text("\n".join([*lines, *textwrap.dedent(body).strip().splitlines(), ""]))
    path.chmod(0o755)


def test_a_pre_receive_hook_of_git(repositories, package, tmp_path):
    bare, work = repositories
    source = f"""
        while read -r old new ref; do
            subject=$(git -c 'safe.directory=*' -C {bare} log -1 --format=%s "$new") || exit 2
            touch {bare}/description && echo "it wrote"
            case $subject in wip*) echo "$ref: unfinished: $subject"; exit 1 ;; esac
            echo "$ref: fine: $subject"
        done
    """
    names = ["GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH"]
    asks = f'read = ["{bare}"]\nenvironment = {json.dumps(names)}\nprocesses = 16'
    folder = package("checks", ["/bin/bash", "hook.sh"], "hook.sh", source, asks)
    (tmp_path / "hooks.toml").write_text(EXECUTES)
    body = """
        done = check.run(sys.stdin.buffer.read())
        sys.stdout.buffer.write(done.stdout)
        sys.stderr.buffer.write(done.stderr)
        sys.exit(0 if done.verdict == "ok" else 1)
    """
    hook(bare / "hooks" / "pre-receive", folder, tmp_path / "hooks.toml", body)
    done = git(work, "push", "origin", "main", check=False)
    assert (done.returncode, "remote: refs/heads/main: fine: first" in done.stderr) == (0, True), done.stderr
    assert ("Read-only file system" in done.stderr, "it wrote" in done.stderr) == (True, False)
    git(work, "commit", "--quiet", "--allow-empty", "--message=wip: second")
    done = git(work, "push", "origin", "main", check=False)
    assert (done.returncode != 0, "refs/heads/main: unfinished: wip: second" in done.stderr) == (True, True), done.stderr
    assert git(bare, "log", "--format=%s", "main").stdout == "first\n"


def test_a_commit_msg_hook_of_git(repositories, tmp_path):
    _, work = repositories
    path = work / ".git" / "hooks" / "commit-msg"
    (tmp_path / "trailer.toml").write_text(
        'schema = 1\nname = "trailer"\nfilter = ["git", "interpret-trailers", "--trailer", "Reviewed-by: jail"]\n'
    )
    body = """
        with open(sys.argv[1], "rb+") as file:
            found = check(file.read())
            file.seek(0)
            file.truncate()
            file.write(found)
    """
    hook(path, tmp_path / "trailer.toml", "plugin", body)
    git(work, "commit", "--quiet", "--allow-empty", "--message=second")
    assert git(work, "log", "-1", "--format=%B").stdout.strip() == "second\n\nReviewed-by: jail"
    os.unlink(tmp_path / "trailer.toml")
    assert git(work, "commit", "--quiet", "--allow-empty", "--message=third", check=False).returncode
    assert git(work, "log", "-1", "--format=%s").stdout == "second\n"
