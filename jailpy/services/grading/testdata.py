"""The test data of a Kattis package: groups with their rules, tests with their files, arguments and flags."""

from __future__ import annotations

import os
import shlex
from typing import Any, Literal

import msgspec

from jailpy.services.grading import compare, grouprules, settings
from jailpy.services.grading.problem import Checker, Group, Rules, Test
from jailpy.services.grading.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.services.grading.problem_kattis import Meta

    Kind = Literal["sample", "secret"]

_KNOWN = (".in", ".ans", ".out", ".args", ".yaml", ".files", ".hint", ".desc", ".interaction", ".png", ".jpg", ".jpeg", ".svg")
_FILES = (".statement", ".download", *_KNOWN)
_VISUAL = ("input_validator_args", "input_visualizer_args", "output_visualizer_args", "hint", "description", "full_feedback")


class Inherited(msgspec.Struct, frozen=True, kw_only=True):
    """What tests take from their group."""

    args: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def load(folder: str, meta: Meta, checkers: tuple[Checker, ...], problems: list[str], warnings: list[str]) -> Group:
    """Read data/sample and data/secret as one group. What is wrong goes to `problems`."""
    reader = _Reader(os.path.join(folder, "data"), meta, checkers, problems, warnings)
    return reader.new_root() if meta.has_new_groups else reader.old_root()


class _Reader:
    def __init__(self, data: str, meta: Meta, checkers: tuple[Checker, ...], problems: list[str], warnings: list[str]) -> None:
        self._data, self._meta, self._checkers = data, meta, checkers
        self._problems, self._warnings = problems, warnings
        self._has_builtin = any(checker.protocol == "default" for checker in checkers)

    # legacy

    def old_root(self) -> Group:
        """Read testdata.yaml of data itself, and its two groups below."""
        rules, given = self._old_rules(self._data, {})
        members = [self._old_group(kind, kind, given) for kind in self._kinds()]
        return Group(rules=rules, members=tuple(members))

    def _old_rules(self, folder: str, above: dict[str, Any]) -> tuple[Rules, dict[str, Any]]:
        given = Settings.read(os.path.join(folder, "testdata.yaml"), self._problems)
        return grouprules.old(given, above, self._meta)

    def _old_group(self, name: str, kind: Kind, above: dict[str, Any]) -> Group:
        folder = os.path.join(self._data, name)
        rules, given = self._old_rules(folder, above)
        taken = Inherited(flags=given.get("output_validator_flags", ()))
        members: list[Test | Group] = []
        for entry in self._entries(folder):
            if os.path.isdir(os.path.join(folder, entry)):
                members.append(self._old_group(f"{name}/{entry}", kind, given))
            else:
                members.append(self._test(folder, name, entry, kind, name, taken))
        return Group(name=name, rules=rules, members=tuple(members))

    # 2025-09

    def new_root(self) -> Group:
        """Read test_group.yaml of sample, secret and the groups of secret."""
        groups = [self._new_group(kind, kind) for kind in self._kinds()]
        secret = next((group for group in groups if group.name == "secret"), None)
        if self._meta.is_scoring and secret:
            grouprules.check(self._data, secret, self._problems)
        rules = Rules(stops=not self._meta.is_scoring, ignores_sample=self._meta.is_scoring)
        most = secret.rules.max_score if secret else None
        return Group(rules=msgspec.structs.replace(rules, max_score=most), members=tuple(groups))

    def _new_group(self, name: str, kind: Kind) -> Group:
        folder = os.path.join(self._data, name)
        given = Settings.read(os.path.join(folder, "test_group.yaml"), self._problems)
        rules = grouprules.new(given, self._meta, is_secret=name == "secret", is_sample=kind == "sample")
        taken = Inherited(
            args=given.take("args", settings.words, ()), flags=given.take("output_validator_args", settings.words, ())
        )
        if given.has("static_validation_score"):
            given.problem(
                "static_validation_score: static validators cannot be run here", given.line("static_validation_score")
            )
        given.skip("static_validation_score", "static_validator_args", *_VISUAL)
        given.refuse_rest()
        tests, groups = self._new_members(name, kind, taken)
        if tests and groups:
            self._problems.append(f"{folder}:1: holds tests and groups, and may hold one of both")
        tests = grouprules.with_scores(tests, rules, is_scoring=self._meta.is_scoring and kind == "secret")
        return Group(name=name, rules=rules, members=(*tests, *groups))

    def _new_members(self, name: str, kind: Kind, taken: Inherited) -> tuple[list[Test], list[Group]]:
        folder = os.path.join(self._data, name)
        tests: list[Test] = []
        groups: list[Group] = []
        for entry in self._entries(folder):
            if not os.path.isdir(os.path.join(folder, entry)):
                tests.append(self._test(folder, name, entry, kind, name, taken))
            elif name == "secret":
                groups.append(self._new_group(f"{name}/{entry}", kind))
            else:
                tests += self._deeper(f"{name}/{entry}", kind, name, taken)
        return tests, groups

    def _deeper(self, name: str, kind: Kind, group: str, taken: Inherited) -> list[Test]:
        """Read tests in folders of a group: they belong to the group."""
        folder = os.path.join(self._data, name)
        found: list[Test] = []
        for entry in self._entries(folder):
            if os.path.isdir(os.path.join(folder, entry)):
                found += self._deeper(f"{name}/{entry}", kind, group, taken)
            else:
                found.append(self._test(folder, name, entry, kind, group, taken))
        return found

    # both

    def _kinds(self) -> list[Kind]:
        kinds: tuple[Kind, ...] = ("sample", "secret")
        return [kind for kind in kinds if os.path.isdir(os.path.join(self._data, kind))]

    def _entries(self, folder: str) -> list[str]:
        """Return the names of tests and of folders that are groups, in judging order."""
        names = set(os.listdir(folder))
        tests = {name[: -len(".in")] for name in names if name.endswith(".in")}
        groups = {
            name
            for name in names
            if os.path.isdir(os.path.join(folder, name)) and not name.endswith(".files") and name[0] != "."
        }
        for name in sorted(tests & groups):
            self._problems.append(f"{folder}/{name}:1: a test and a folder have one name")
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            if suffix in (".ans", ".args", ".files") and stem not in tests:
                self._warnings.append(f"{folder}/{name}:1: belongs to no test: there is no {stem}.in")
        return sorted(tests | groups)

    def _test(self, folder: str, name: str, entry: str, kind: Kind, group: str, taken: Inherited) -> Test:
        stem = os.path.join(folder, entry)
        answer = f"{stem}.ans" if os.path.isfile(f"{stem}.ans") else ""
        if not answer:
            self._warnings.append(f"{stem}.in:1: no answer: there is no {entry}.ans")
        args, flags = self._arguments(stem, taken)
        self._check_flags(stem, flags)
        return Test(
            name=f"{name}/{entry}",
            input=f"{stem}.in",
            answer=answer,
            kind=kind,
            group=group,
            args=args,
            checker_flags=flags,
            files=f"{stem}.files" if os.path.isdir(f"{stem}.files") else "",
        )

    def _arguments(self, stem: str, taken: Inherited) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the arguments of the submission and of the checker, from NAME.yaml and NAME.args."""
        args, flags = taken.args, taken.flags
        if os.path.isfile(f"{stem}.args"):
            try:
                with open(f"{stem}.args", encoding="utf-8") as file:
                    args = tuple(shlex.split(file.read()))
            except ValueError as error:
                self._problems.append(f"{stem}.args:1: {error}")
        if self._meta.has_new_groups and os.path.isfile(f"{stem}.yaml"):
            given = Settings.read(f"{stem}.yaml", self._problems)
            args, flags = given.take("args", settings.words, args), given.take("output_validator_args", settings.words, flags)
            given.skip(*_VISUAL)
            given.refuse_rest()
        return args, flags

    def _check_flags(self, stem: str, flags: tuple[str, ...]) -> None:
        """Say what the built-in comparison would not take, once for each file that it comes from."""
        for checker in self._checkers if self._has_builtin else ():
            try:
                compare.settings((*checker.flags, *flags))
            except ValueError as error:
                said = f"{os.path.dirname(stem)}:1: output validator flags: {error}"
                if said not in self._problems:
                    self._problems.append(said)
