"""The recipes: what they run exists, their files are well-formed, and the documented report is what is written."""

from __future__ import annotations

import json
import os
import re
import shlex

import click
import msgspec
import pytest
import yaml

from jailpy.cli.grade import grade
from jailpy.services.grading import reports
from jailpy.services.grading.results import Grading, Verdict

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ("grade-submissions", "grade-on-gradescope", "grade-in-github-actions", "grade-on-a-cluster")


def read(path):
    with open(os.path.join(ROOT, "docs", path), encoding="utf-8") as file:
        return file.read()


def blocks(page, language):
    return re.findall(rf"^```{language}.*?\n(.*?)^```", read(f"how-to/{page}.md"), re.MULTILINE | re.DOTALL)


def commands():
    """Yield the arguments of every `jailpy grade` in the recipes."""
    for page in PAGES:
        text = re.sub(r"\\\n", " ", "\n".join(blocks(page, "(?:sh|console|yaml)")))
        for found in re.findall(r"jailpy grade (.*?)$", text, re.MULTILINE):
            yield page, shlex.split(re.sub(r"#.*", "", found))
        for listed in re.findall(r"command: (\[jailpy, grade, .*\])", text):
            yield page, yaml.safe_load(listed)[2:]


def test_every_command_of_the_recipes_is_understood():
    found = list(commands())
    assert {page for page, _ in found} == set(PAGES)
    for _, arguments in found:
        with grade.make_context("grade", list(arguments)) as context:
            assert context.params["problem"]
            assert context.params["submissions"] or context.params["each"] or context.params["verify"]
    with pytest.raises(click.UsageError):
        grade.make_context("grade", ["sums", "a.py", "--no-such-option"])


def test_the_workflow_is_well_formed():
    (text,) = blocks("grade-in-github-actions", "yaml")
    steps = yaml.safe_load(text)["jobs"]["grade"]["steps"]
    assert sum("run" in step for step in steps) == 2
    assert all(("uses" in step) != ("run" in step) for step in steps)


def test_the_job_is_well_formed():
    (text,) = blocks("grade-on-a-cluster", "yaml")
    pod = yaml.safe_load(text)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_documented_report_has_every_field():
    (text,) = re.findall(r"^```json\n(.*?)^```", read("reference/grading-report.md"), re.MULTILINE | re.DOTALL)
    documented = msgspec.json.decode(text, type=Grading)
    assert json.loads(msgspec.json.encode(documented)) == json.loads(text)


def test_the_reference_names_every_verdict_and_format():
    text = read("reference/grading-report.md")
    rows = set(re.findall(r"^\| (\w+) \|", text, re.MULTILINE))
    assert {verdict.value for verdict in Verdict} <= rows
    formats = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    assert formats == set(reports.FORMATS)
    starred = set(re.findall(r"^\| `(\w+)` \*", text, re.MULTILINE))
    assert starred == set(reports.DEFAULT)
