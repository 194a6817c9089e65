"""The project's own rules: sizes, imports, what the wheel holds, links of the documents."""

from __future__ import annotations

import ast
import json
import os
import re
import statistics
import subprocess
import sys
import zipfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = os.path.join(ROOT, "jailpy")
MODULES = sorted(
    os.path.relpath(os.path.join(folder, name), ROOT)
    for folder, _, names in os.walk(PACKAGE)
    for name in names
    if name.endswith(".py") and os.path.basename(folder) != "programs"  # hostile ones, which run in jails: no modules
)
DOCUMENTS = sorted(
    os.path.relpath(os.path.join(folder, name), ROOT)
    for top in ("", "docs", "examples", "benchmarks")
    for folder, folders, names in os.walk(os.path.join(ROOT, top))
    if top or not folders.clear()
    for name in names
    if name.endswith(".md")
)
# Each costs 6 to 50 ms, or pulls in one that does: docs/adr/0001-imports-on-the-way-to-execve.md.
FORBIDDEN_ON_THE_WAY = {
    "argparse", "asyncio", "click", "collections", "contextlib", "dataclasses", "enum", "functools", "hashlib",
    "inspect", "jinja2", "json", "logging", "msgspec", "pathlib", "py_landlock", "pyseccomp", "re", "rich", "shutil",
    "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "tomllib", "typing", "yaml", "zipfile",
}  # fmt: skip


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def functions(path):
    for node in ast.walk(ast.parse(read(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def modules_after(code, *, options=()):
    """Run Python code in a fresh interpreter and list the modules that are then loaded."""
    program = f"import sys\n{code}\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


def test_no_function_over_60_lines():
    assert len(MODULES) > 30
    assert [where for path in MODULES for where, lines in functions(path) if lines > 60] == []


def test_median_function_under_10_lines():
    assert statistics.median(lines for path in MODULES for _, lines in functions(path)) < 10


def test_no_module_over_400_lines():
    assert [path for path in MODULES if read(path).count("\n") >= 400] == []


def test_every_module_says_what_it_is():
    assert [path for path in MODULES if not ast.get_docstring(ast.parse(read(path)))] == []


def test_every_module_postpones_annotations():
    """Frozen reads annotations as strings, and typing stays off the way to execve."""
    wanting = [
        path
        for path in MODULES
        if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(ast.parse(read(path))))
        and "from __future__ import annotations" not in read(path)
    ]
    assert wanting == []


def test_no_notes_to_self():
    notes = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert [path for path in MODULES + DOCUMENTS if notes.search(read(path))] == []


def test_only_kernel_uses_ctypes():
    users = [path for path in MODULES if re.search(r"^\s*(import|from) ctypes", read(path), re.MULTILINE)]
    assert users
    assert [path for path in users if not path.startswith("jailpy/kernel/")] == []


def test_the_child_imports_little():
    loaded = {name for name in modules_after("import jailpy.child") if name.startswith("jailpy.")}
    allowed = {"jailpy.child", "jailpy.kernel", "jailpy.steps", "jailpy.errors", "jailpy.frozen", "jailpy.rights"}
    assert "jailpy.child" in loaded
    assert {name for name in loaded if ".".join(name.split(".")[:2]) not in allowed} == set()


def test_import_of_the_package_is_light():
    assert "jailpy.api" not in modules_after("import jailpy")


@pytest.fixture(scope="module")
def modules_of_a_run(tmp_path_factory):
    """The modules that a second `jailpy exec` (the first one fills the cache) has loaded when it ends."""
    cache = tmp_path_factory.mktemp("cache")
    out = cache / "modules"
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: open({str(out)!r}, 'w').write(' '.join(sys.modules)))\n"
        "sys.argv = ['jailpy', 'exec', '--', '/bin/true']\n"
        "from jailpy.cli import main\n"
        "sys.exit(main())"
    )
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {ROOT!r})\n{code}"],
            check=True,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        )
    return set(out.read_text().split())


def test_nothing_heavy_on_the_way_to_execve(modules_of_a_run):
    bare = modules_after("import atexit", options=["-I"])
    assert "jailpy.launcher" in modules_of_a_run
    assert modules_of_a_run & FORBIDDEN_ON_THE_WAY - bare == set()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "from hatchling.build import build_wheel; import sys; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], check=True, cwd=ROOT, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_the_data(wheel):
    names = set(wheel.namelist())
    data = {
        os.path.relpath(os.path.join(folder, name), ROOT)
        for folder, _, files in os.walk(os.path.join(PACKAGE, "profiles"))
        for name in files
    }
    assert {"strict", "grade", "build", "plugin", "observe"} <= {os.path.basename(name)[:-5] for name in data}
    assert data | set(MODULES) | {"jailpy/py.typed"} <= names


def test_nothing_in_the_wheel_is_setuid(wheel):
    modes = {entry.filename: entry.external_attr >> 16 for entry in wheel.infolist()}
    scripts = {name for name, mode in modes.items() if mode & 0o111}
    assert {os.path.basename(name) for name in scripts} == {"jailpy"}
    assert [name for name, mode in modes.items() if mode & 0o6000] == []


def test_the_start_script_is_our_own(wheel):
    """A generated one imports re, which costs as much as a jail (docs/adr/0002-an-own-start-script.md)."""
    (script,) = (name for name in wheel.namelist() if name.endswith(".data/scripts/jailpy"))
    text = wheel.read(script).decode()
    assert text.startswith("#!python\n")
    assert set(re.findall(r"^(?:import|from) (\S+)", text, re.MULTILINE)) == {"sys", "jailpy.__main__"}
    assert not any(name.endswith("entry_points.txt") for name in wheel.namelist())


def test_the_start_script_takes_no_module_from_its_surroundings(tmp_path):
    """A file called jailpy.py beside the script or in the current folder is not imported."""
    (tmp_path / "start").write_text(read("bin/jailpy"))
    (tmp_path / "jailpy.py").write_text("print('planted')")
    environment = {**os.environ, "PYTHONPATH": ROOT}
    done = subprocess.run([sys.executable, "start", "--version"], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert "planted" not in done.stdout
    assert (done.returncode, done.stdout.split()[-1]) == (0, "0.1.0")
    control = subprocess.run([sys.executable, "-c", "import jailpy"], cwd=tmp_path, capture_output=True, text=True)
    assert control.stdout == "planted\n"


def test_versions_agree():
    assert '\nversion = "0.1.0"\n' in read("pyproject.toml")
    done = subprocess.run([sys.executable, "-c", "import jailpy; print(jailpy.__version__)"], cwd=ROOT, capture_output=True)
    assert done.stdout == b"0.1.0\n"
    assert "\n## 0.1.0" in read("CHANGELOG.md")


def anchors(path):
    """The anchors that headings of a Markdown file get."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", read(path), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def test_links_of_the_documents_lead_somewhere():
    assert len(DOCUMENTS) > 10
    broken, seen = [], 0
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s]+)\)", read(path)):
            if target.startswith(("http://", "https://", "mailto:")):
                continue
            seen += 1
            name, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not os.path.exists(os.path.join(ROOT, full)) or (anchor and anchor not in anchors(full)):
                broken.append(f"{path}: {target}")
    assert seen > 20
    assert broken == []


def test_files_that_documents_name_exist():
    """`jailpy/...`, `tests/...`, `tools/...` and `docs/...` in backquotes are files of this tree."""
    named = re.compile(r"`((?:jailpy|tests|tools|docs|examples|benchmarks)/[\w./-]+)`")
    gone = [
        f"{path}: {name}" for path in DOCUMENTS for name in named.findall(read(path)) if not os.path.exists(f"{ROOT}/{name}")
    ]
    assert gone == []


@pytest.mark.parametrize("name", ["main-job", "tests"])
def test_the_readme_has_its_two_commands(name):
    done = subprocess.run([sys.executable, f"{ROOT}/tools/readme-command", name], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1
    unknown = subprocess.run([sys.executable, f"{ROOT}/tools/readme-command", "no-such"], capture_output=True, text=True)
    assert unknown.returncode == 1


def test_the_documented_report_is_json():
    """Each ```json block of the documents parses."""
    blocks = [
        (path, block)
        for path in DOCUMENTS
        for block in re.findall(r"^```json\n(.*?)^```", read(path), re.MULTILINE | re.DOTALL)
    ]
    assert blocks
    for _, block in blocks:
        json.loads(block)
