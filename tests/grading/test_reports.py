"""Reports: each format is read back by a reader of its own, and hostile texts stay texts in all of them."""

from __future__ import annotations

import base64
import csv
import hashlib
import html.parser
import io
import json
import os
import re
import time
from xml.etree import ElementTree as ET

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jailpy.errors import UsageError
from jailpy.services.grading import reports
from jailpy.services.grading.reports import html_report
from jailpy.services.grading.reports.gradescope_report import results as gradescope
from jailpy.services.grading.reports.isolate_report import meta
from jailpy.services.grading.results import Excerpt, Grading, ProblemInfo, SubmissionResult, TestResult, Verdict

from . import made

# https://gradescope-autograders.readthedocs.io/en/latest/specs/
_VISIBILITY = {"enum": ["visible", "hidden", "after_due_date", "after_published"]}
_FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
GRADESCOPE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "score": {"type": "number"},
        "execution_time": {"type": "number"},
        "output": {"type": "string"},
        "output_format": _FORMAT,
        "test_output_format": _FORMAT,
        "test_name_format": _FORMAT,
        "visibility": _VISIBILITY,
        "stdout_visibility": _VISIBILITY,
        "extra_data": {"type": "object"},
        "leaderboard": {"type": "array"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": {"type": "number"},
                    "max_score": {"type": "number"},
                    "status": {"enum": ["passed", "failed"]},
                    "name": {"type": "string"},
                    "name_format": _FORMAT,
                    "number": {"type": "string"},
                    "output": {"type": "string"},
                    "output_format": _FORMAT,
                    "tags": {"type": "array"},
                    "visibility": _VISIBILITY,
                    "extra_data": {"type": "object"},
                },
            },
        },
    },
}


def written(folder, grading, *formats, show=None):
    """Write reports and read them back as {path: content}."""
    paths = reports.write_all(str(folder), grading, formats, show)
    found = {}
    for path in paths:
        with open(path, "rb") as file:
            found[os.path.relpath(path, folder)] = file.read()
    return found


def rows(content):
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_json_holds_all(tmp_path):
    whole = made.every_verdict()
    content = written(tmp_path, whole, "json")["report.json"]
    assert msgspec.json.decode(content, type=Grading) == whole
    assert json.loads(content)["submissions"][1]["verdict"] == "WA"


def test_csv(tmp_path):
    found = written(tmp_path, made.every_verdict(), "csv")
    submissions, tests = rows(found["submissions.csv"]), rows(found["tests.csv"])
    assert len(submissions) == 26
    assert submissions[6] | {"explanation": ""} == {
        "submission": "mle.py", "verdict": "MLE", "score": "", "max_score": "", "language": "Python 3", "tests": "5",
        "accepted": "4", "max_cpu_s": submissions[6]["max_cpu_s"], "max_memory_bytes": str(256 << 20), "explanation": "",
    }  # fmt: skip
    assert submissions[6]["explanation"].endswith("it was stopped at 256 MB after 0.8 s.")
    assert len(tests) == sum(len(entry.tests) for entry in made.every_verdict().submissions)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "\uff201"])
def test_no_cell_is_a_formula(tmp_path, name):
    found = written(tmp_path, made.grading([made.submission(name, Verdict.AC)], pending=(name,)), "csv")
    cells = [row["submission"] for row in rows(found["submissions.csv"]) + rows(found["tests.csv"])]
    assert {cell[0] for cell in cells} == {"'"}
    plain = written(tmp_path, made.grading([made.submission("a-1", Verdict.AC)]), "csv")
    assert rows(plain["submissions.csv"])[0]["submission"] == "a-1"


@pytest.mark.parametrize("formula", ["=1+1", ' "=1+1"', "'+1", "\uff0b1"])
def test_no_part_of_a_cell_is_a_formula(tmp_path, formula):
    """A spreadsheet of a country that writes 0,5 splits at semicolons, whatever the quotes around the whole are."""
    names = (f"a;{formula}", "a; b-1=2;c")
    gradings = made.grading([made.submission(name, Verdict.AC) for name in names])
    found = rows(written(tmp_path, gradings, "csv")["submissions.csv"])
    assert [row["submission"] for row in found] == [f"a;'{formula}", names[1]]


def test_junit(tmp_path):
    root = ET.fromstring(written(tmp_path, made.every_verdict(), "junit")["junit.xml"])
    assert root.tag == "testsuites"
    assert (root.get("errors"), root.get("failures")) == ("2", "11")
    suites = {suite.get("name"): suite for suite in root}
    assert len(suites) == 26
    late = suites["tle.py"]
    assert [late.get(name) for name in ("tests", "failures", "skipped")] == ["10", "1", "5"]
    (failure,) = late.iter("failure")
    assert failure.get("type") == "TLE"
    assert failure.get("message").startswith("Your program needed more than 2 s")
    assert suites["ce.py"].find("testcase/failure").text == "a.c:3:5: error: expected ';'\n"
    assert suites["je.py"].find("testcase/error").get("type") == "JE"


def test_junit_counts_what_was_not_judged(tmp_path):
    root = ET.fromstring(written(tmp_path, made.grading([], pending=("late",)), "junit")["junit.xml"])
    assert root.find("testsuite[@name='late']/testcase/skipped") is not None


class TestGradescope:
    def one(self, verdict, show, **more):
        entry = replace(made.submission("a.py", verdict), **more)
        found = gradescope(entry, made.CASES, show)
        jsonschema.validate(found, GRADESCOPE)
        return found

    @pytest.mark.parametrize("show", ["sample", "verdict", "all"])
    def test_the_documented_schema(self, tmp_path, show):
        found = written(tmp_path, made.every_verdict(), "gradescope", show=show)
        assert len(found) == 26
        for content in found.values():
            jsonschema.validate(json.loads(content), GRADESCOPE)

    def test_hidden_tests_count(self):
        found = self.one(Verdict.AC, "sample")
        assert [test["visibility"] for test in found["tests"]] == ["visible"] * 2 + ["hidden"] * 8
        assert sum(test["score"] for test in found["tests"]) == 10
        assert "score" not in found

    def test_nothing_of_hidden_tests_is_told_to_students(self):
        found = self.one(Verdict.WA, "sample")
        assert found["output"] == "Wrong answer."
        assert "secret" not in found["output"]
        assert "41" in found["tests"][4]["output"]  # staff see it

    def test_verdict_shows_secret_tests_without_their_texts(self):
        found = self.one(Verdict.WA, "verdict")
        assert {test["visibility"] for test in found["tests"]} == {"visible"}
        assert found["tests"][4]["output"].startswith("wrong answer: ")
        assert "41" not in json.dumps(found)
        assert "differs" not in json.dumps(found)

    def test_all_shows_texts(self):
        assert "17\n41" in self.one(Verdict.WA, "all")["tests"][4]["output"]

    def test_a_test_that_was_not_run_scores_nothing(self):
        last = self.one(Verdict.WA, "all")["tests"][-1]
        assert (last["score"], last["status"], last["output"]) == (0.0, "failed", "Not run: an earlier test failed.")

    def test_compile_errors_score_0(self):
        found = self.one(Verdict.CE, "sample")
        assert found["score"] == 0
        assert "expected ';'" in found["output"]

    def test_the_score_of_a_scoring_problem_is_the_submissions(self):
        assert self.one(Verdict.AC, "sample", score=37.5)["score"] == 37.5

    @pytest.mark.parametrize("verdict", [Verdict.JE, Verdict.IE])
    def test_our_faults_give_no_score(self, verdict):
        found = self.one(verdict, "sample")
        assert "score" not in found
        assert "tests" not in found

    @pytest.mark.parametrize("verdict", [Verdict.JE, Verdict.IE])
    def test_a_test_with_a_fault_of_ours_costs_nothing(self, verdict):
        entry = SubmissionResult(name="a", verdict=Verdict.WA, tests=(made.tested(made.CASES[0], verdict, 0.1),))
        assert gradescope(entry, made.CASES, "all")["tests"][0]["score"] == 1


def test_icpc(tmp_path):
    found = json.loads(written(tmp_path, made.every_verdict(), "icpc")["icpc.json"])
    types = {entry["id"] for entry in found["judgement-types"]}
    assert {run["judgement_type_id"] for run in found["runs"]} | {j["judgement_type_id"] for j in found["judgements"]} <= types
    assert [entry["id"] for entry in found["judgement-types"] if entry["solved"]] == ["AC"]
    late = found["judgements"][4]
    assert (late["judgement_type_id"], late["end_contest_time"]) == ("WTL", "0:01:30.500")
    assert [run["ordinal"] for run in found["runs"] if run["judgement_id"] == "j5"] == [1, 2, 3, 4, 5]
    identifiers = [entry["id"] for kind in found.values() for entry in kind]
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,35}", identifier) for identifier in identifiers)


@pytest.mark.parametrize(
    ("verdict", "lines"),
    [
        (Verdict.AC, ["time:0.020", "time-wall:0.022", "cg-mem:9216", "exitcode:0"]),
        (Verdict.MLE, ["cg-mem:262144", "cg-oom-killed:1", "exitsig:9", "killed:1", "status:SG"]),
        (Verdict.TLE, ["time:2.010", "exitsig:9", "killed:1", "status:TO"]),
        (Verdict.RTE, ["exitsig:11", "status:SG", "message:Caught fatal signal 11 (SIGSEGV)"]),
        (Verdict.IE, ["status:XX"]),
    ],
)
def test_isolate(verdict, lines):
    found = meta(made.tested(made.CASES[0], verdict, 0.02)).splitlines()
    assert set(lines) <= set(found)


def test_isolate_of_an_exit_code():
    found = meta(TestResult(name="a", verdict=Verdict.RTE, exit_code=3))
    assert found == "exitcode:3\nstatus:RE\nmessage:Exited with error status 3\n"


class Reader(html.parser.HTMLParser):
    """Notes the page's elements, attributes and texts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def html(tmp_path, grading, show=None):
    return written(tmp_path, grading, "html", show=show)["report.html"].decode()


class TestPage:
    def test_it_loads_nothing_and_runs_nothing(self, tmp_path):
        text = html(tmp_path, made.every_verdict())
        read = Reader(text)
        assert not set(read.tags) & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
        assert not [name for name, _ in read.attributes if name.startswith("on") or name in ("src", "style", "action")]
        assert {value[0] for name, value in read.attributes if name == "href"} == {"#"}
        assert "http" not in text.replace("http-equiv", "")

    def test_its_policy_allows_its_own_style_sheet_alone(self, tmp_path):
        text = html(tmp_path, made.every_verdict())
        (policy,) = (value for name, value in Reader(text).attributes if name == "content" and "default-src" in value)
        style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"

    def test_every_link_leads_somewhere_and_ids_are_unique(self, tmp_path):
        read = Reader(html(tmp_path, made.every_verdict()))
        ids = [value for name, value in read.attributes if name == "id"]
        assert len(ids) == len(set(ids)) > 30
        assert {value[1:] for name, value in read.attributes if name == "href"} <= set(ids)

    def test_it_shows_the_matrix_and_the_explanations(self, tmp_path):
        read = Reader(html(tmp_path, made.every_verdict()))
        assert read.tags.count("details") == 26
        assert read.tags.count("article") == 12
        assert {"WTLE", "secret/03", "Your program used more than 256 MB; it was stopped at 256 MB after 0.8 s."} <= set(
            read.texts
        )

    @pytest.mark.parametrize(("title", "shown"), [("Paths & <em>grids</em>", "Paths & <em>grids</em>"), ("", "paths")])
    def test_it_is_named_as_the_problem_is(self, tmp_path, title, shown):
        read = Reader(html(tmp_path, made.grading((), problem=ProblemInfo(name="paths", title=title, digest="sha256:0"))))
        assert read.texts.count(shown) == 1
        assert f"{shown}: grading report" in read.texts
        assert "em" not in read.tags

    def test_hostile_texts_are_texts(self, tmp_path):
        text = html(tmp_path, made.hostile())
        harmless = html(tmp_path, msgspec.convert(neutral(msgspec.to_builtins(made.hostile())), Grading))
        assert Reader(text).tags == Reader(harmless).tags
        assert "script" not in Reader(text).tags
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\\x1b[2J" in text
        assert "{{ 7*7 }}" in text

    @settings(max_examples=40, deadline=None)
    @given(st.text(alphabet=st.sampled_from("<>&\"'/=`{}%#-! \n\t\0\x1b\u202e\ud800abscript"), max_size=60))
    def test_no_text_makes_an_element(self, text):
        def grading(word):
            output = Excerpt(text=word + "x", total_bytes=3)
            test = TestResult(name=word, verdict=Verdict.RTE, output=output, message=word + "x", exit_code=1)
            return made.grading([SubmissionResult(name=word, language=word, verdict=Verdict.RTE, tests=(test,), notes=(word,))])

        ((_, page),) = html_report.files(grading(text), "all")
        ((_, plain),) = html_report.files(grading("a"), "all")
        assert Reader(page.decode()).tags == Reader(plain.decode()).tags

    def test_output_is_cut(self, tmp_path):
        test = TestResult(name="secret/1", verdict=Verdict.WA, output=Excerpt(text="y" * 100_000, total_bytes=100_000))
        text = html(tmp_path, made.grading([SubmissionResult(name="a", verdict=Verdict.WA, tests=(test,))]))
        assert "y" * 1500 in text
        assert "y" * 1501 not in text
        assert "cut here" in text

    def test_many_outputs_do_not_make_a_page_that_no_browser_opens(self, tmp_path):
        test = TestResult(name="secret/1", verdict=Verdict.WA, output=Excerpt(text="y" * 1500, total_bytes=1500))
        entries = [SubmissionResult(name=f"{number}.py", verdict=Verdict.WA, tests=(test,)) for number in range(10_000)]
        started = time.monotonic()
        text = html(tmp_path, made.grading(entries))
        assert len(text) < 40 << 20
        assert time.monotonic() - started < 60
        assert "Left out here" in text

    def test_redacted_it_says_nothing_of_secret_tests(self, tmp_path):
        text = html(tmp_path, made.every_verdict(), show="sample")
        assert "secret" not in text
        assert "line 2" not in text
        assert "secret" in html(tmp_path, made.every_verdict())

    def test_of_nothing(self, tmp_path):
        assert "not judged" in html(tmp_path, made.grading([], interrupted=True, pending=("a",)))


def neutral(value):
    """Replace each hostile text of a structure of dictionaries and lists."""
    if isinstance(value, dict):
        return {neutral(key): neutral(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [neutral(inner) for inner in value]
    return "harmless" if value == made.HOSTILE else value


@pytest.mark.parametrize("name", reports.FORMATS)
def test_every_format_writes_hostile_texts(tmp_path, name):
    found = written(tmp_path, made.hostile(), name)
    assert found
    for path, content in found.items():
        assert re.fullmatch(r"[A-Za-z0-9_.+/-]+", path)
        assert not set(content.decode()) & {"\x1b", "\0", "\u202e"} or name == "json"


def test_a_report_replaces_a_link_and_does_not_follow_it(tmp_path):
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "report.json").symlink_to(tmp_path / "precious")
    written(tmp_path, made.grading([]), "json")
    assert (tmp_path / "precious").read_text() == "keep"
    assert not (tmp_path / "report.json").is_symlink()


def test_one_that_fails_does_not_keep_the_others(tmp_path):
    (tmp_path / "report.json").mkdir()
    with pytest.raises(UsageError, match=r"report\.json"):
        reports.write_all(str(tmp_path), made.grading([]), ("json", "html"))
    assert (tmp_path / "report.html").exists()
    assert not list(tmp_path.glob("*.new"))
