"""Weaker tiers: a layer that stands on one needs the profile's or the caller's word for it, and the plan names it."""

from __future__ import annotations

import pytest

from jailpy.errors import ProfileError
from jailpy.layers import Planned
from jailpy.plan import tiers
from jailpy.profile.diff import differences
from jailpy.profile.load import load
from jailpy.profile.model import TIERS
from jailpy.profile.overrides import parse_set
from jailpy.profile.resolve import document_of

ON_TIER = Planned("cgroup", "degraded", "looks", tiers=("no-cgroup",))
OF_ITS_OWN = Planned("net", "enforced", "a namespace")


def test_every_tier_has_words():
    assert tuple(tiers.WORDS) == TIERS
    assert all(tiers.words(name).startswith(f"tier {name}: ") for name in TIERS)


def test_tiers_in_force_are_named_once_and_in_order():
    more = Planned("mount", "degraded", "", tiers=("no-proc", "no-namespaces"))
    assert tiers.in_force((OF_ITS_OWN,)) == ()
    assert tiers.in_force((ON_TIER, more, more, OF_ITS_OWN)) == ("no-namespaces", "no-proc", "no-cgroup")


def test_a_tier_is_accepted_by_name_or_excused_by_layer():
    layers = (ON_TIER, OF_ITS_OWN)
    (need,) = tiers.unaccepted(layers, (), ())
    assert need.layer == "cgroup"
    assert "no-cgroup" in need.why
    assert 'require.tiers = ["no-cgroup"]' in need.fix
    assert list(tiers.unaccepted(layers, ("no-cgroup",), ())) == []
    assert list(tiers.unaccepted(layers, (), ("cgroup",))) == []
    assert len(list(tiers.unaccepted(layers, ("no-proc",), ("net",)))) == 1


def test_strict_accepts_none_and_accepting_is_looser():
    assert load("strict").require.tiers == ()
    accepting = load("strict", (parse_set("require.tiers=no-proc"),))
    assert accepting.require.tiers == ("no-proc",)
    assert any(item.startswith("require.tiers: not there -> no-proc") for item in accepting.loosened)
    document = document_of("strict")
    found = differences(document, {**document, "require.tiers": ["no-proc"]})
    assert found == [("looser", "require.tiers", "no-proc is accepted as a weaker tier")]


def test_a_tier_that_is_none():
    with pytest.raises(ProfileError, match=r"require\.tiers: expected one of no-namespaces, container-root"):
        load("strict", (parse_set("require.tiers=no-such"),))
