"""Weaker tiers: a layer that stands on one needs the profile's or the caller's word for it, and the plan names it."""

from __future__ import annotations

import errno

import pytest

from jailpy.errors import HostError, ProfileError
from jailpy.host import facts
from jailpy.host.cgroups import Base, CgroupFacts
from jailpy.host.facts import Plain
from jailpy.layers import Command, Planned, landlock_rights, seccomp_filter
from jailpy.plan import tiers
from jailpy.plan.compile import Plan, compile_plan
from jailpy.profile.diff import differences
from jailpy.profile.load import load
from jailpy.profile.model import TIERS
from jailpy.profile.overrides import parse_set
from jailpy.profile.resolve import document_of
from jailpy.steps import cgroups, process
from jailpy.steps import plain as plain_steps

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


NAMESPACES = ("user", "mount", "pid", "net", "ipc", "uts", "cgroup-ns")
DOCKERS = sum(1 << bit for bit in (0, 1, 5, 6, 7, 8, 18))
COMMAND = Command(argv=("prog",), environment=(("HOME", "/work"), ("PATH", "/bin")))


@pytest.fixture(scope="module")
def host():
    """This host's facts as root of a container, with cgroups that do not depend on where the test runs."""
    groups = CgroupFacts((Base("/sys/fs/cgroup/own", ("memory", "pids", "cpu", "io"), 2),), "/sys/fs/cgroup/own", "", ())
    plain = Plain(refused="", base="/tmp", capabilities=DOCKERS, tasks=10)
    own = {"real_root": True, "outside": (70000, 70000), "landlock_abi": 7, "kernel": (6, 12), "apparmor": False}
    return facts.gather().replace(cgroups=groups, plain=plain, **own)


def user(host, **more):
    return host.replace(real_root=False, outside=(1000, 1000), **more)


def made(host, *settings, name="strict-nonamespaces", command=COMMAND, excused=()):
    try:
        plan = compile_plan(load(name, tuple(parse_set(setting) for setting in settings)), host, command, excused)
    except HostError as refused:
        return refused
    return plan if isinstance(plan, Plan) else plan.error({})


def kinds(plan):
    return [type(step) for step in plan.steps]


def test_the_account_says_which_tier_it_is(host):
    assert made(host).tiers == ("container-root",)
    assert made(user(host)).tiers == ("no-namespaces",)
    assert plain_steps.BecomeUnused in kinds(made(host))
    assert plain_steps.GiveUpCapabilities in kinds(made(user(host)))
    assert not [step for step in made(host).steps if isinstance(step, process.CloneNamespaces) or step.layer == "uts"]


@pytest.mark.parametrize("account", ["root", "user"])
def test_the_order_of_a_plain_launch(host, account):
    plan = made(host if account == "root" else user(host))
    order = kinds(plan)
    last_rights = plain_steps.BecomeUnused if account == "root" else plain_steps.GiveUpCapabilities
    in_order = [
        plain_steps.MakeWork, plain_steps.ForkInit, plain_steps.GatherOrphans, cgroups.JoinGroups, process.NoNewPrivs,
        process.HideInit, plain_steps.DieWithInit, process.StartSession, last_rights, process.SetStdio,
        plain_steps.EnterWork, process.SetRlimit, plain_steps.RestrictInPlace, process.LoadFilter, process.Execute,
    ]  # fmt: skip
    assert [order.index(kind) for kind in in_order] == sorted(order.index(kind) for kind in in_order)
    assert order.index(plain_steps.DieWithInit) < order.index(last_rights)


def test_signals_need_landlock_or_an_own_uid(host):
    refused = made(user(host, landlock_abi=5))
    assert isinstance(refused, HostError)
    assert "Linux 6.12" in refused.message
    assert "ABI 5" in refused.hints[0]
    assert isinstance(made(user(host, landlock_abi=6)), Plan)
    assert isinstance(made(host.replace(landlock_abi=2)), Plan)
    excused = made(user(host, landlock_abi=0), excused=("landlock",))
    assert isinstance(excused, HostError)


@pytest.mark.parametrize("bit", [0, 1, 5, 6, 7, 8])
def test_root_without_a_capability_that_it_needs(host, bit):
    refused = made(host.replace(plain=host.plain.replace(capabilities=DOCKERS & ~(1 << bit))))
    assert isinstance(refused, HostError)
    assert "--cap-add CAP_" in refused.hints[0]


def test_strict_has_namespaces_whatever_was_found(host):
    plain = host.replace(plain=host.plain.replace(refused="the host refuses it"))
    assert made(plain, name="strict").tiers == ()
    assert made(plain, name="strict", excused=NAMESPACES[1:]).tiers == ()
    assert made(plain, name="strict", excused=NAMESPACES).tiers == ("container-root",)
    assert made(host, name="strict", excused=NAMESPACES).tiers == (), "nothing is refused here"


def test_a_profile_that_prefers_namespaces_accepts_the_tier_too(host):
    settings = ["require.layers=[" + ", ".join(f'"!{name}"' for name in NAMESPACES) + "]"]
    settings.append("require.prefer=[" + ", ".join(f'"{name}"' for name in NAMESPACES) + "]")
    plain = host.replace(plain=host.plain.replace(refused="the host refuses it"))
    refused = made(plain, *settings, name="strict")
    assert isinstance(refused, HostError)
    assert "container-root" in refused.message
    assert made(plain, *settings, "require.tiers=container-root", name="strict").tiers == ("container-root",)
    assert made(host, *settings, name="strict").tiers == ()


def test_wanting_none_without_a_name_is_the_profiles_mistake(host):
    with pytest.raises(ProfileError, match="expected a namespace layer") as caught:
        made(host, 'require.tiers=["!no-namespaces", "!container-root"]')
    assert 'require.tiers = ["container-root"]' in caught.value.hints[0]


def rlimits(plan):
    return {step.name: step.value for step in plan.steps if isinstance(step, process.SetRlimit)}


def test_tasks_are_counted_as_far_as_the_kernel_can(host):
    none = CgroupFacts((), "", "", tuple((name, "") for name in ("memory", "pids", "cpuacct", "cpu")))
    assert rlimits(made(host.replace(cgroups=none)))["RLIMIT_NPROC"] == 32, "init has another uid"
    assert rlimits(made(user(host, cgroups=none)))["RLIMIT_NPROC"] > 32 + 10, "what the account has besides is counted too"
    assert "RLIMIT_NPROC" not in rlimits(made(user(host)))


def test_a_file_is_no_larger_than_the_disk_limit(host):
    assert rlimits(made(host, "limits.disk=1M"))["RLIMIT_FSIZE"] == 1 << 20
    assert rlimits(made(host, "limits.file_size=off"))["RLIMIT_FSIZE"] == 64 << 20
    assert rlimits(made(host, "limits.file_size=0"))["RLIMIT_FSIZE"] == 0


def test_nothing_on_the_host_may_be_listed_by_the_root(host):
    (step,) = [step for step in made(host).steps if isinstance(step, plain_steps.RestrictInPlace)]
    paths = dict(step.paths)
    assert "/" not in paths
    assert not {"/etc", "/proc", "/run", "/tmp", "/dev"} & paths.keys()
    assert {".", "/usr", "/dev/null"} <= paths.keys()
    writable = paths["."] & ~paths["/usr"]
    assert writable
    assert not paths["/usr"] & landlock_rights.bits(("write_file", "truncate", "make_reg"))


def policy(tier, *allow):
    groups = {"no-namespaces": ("without-namespaces", "shared-uid"), "container-root": ("without-namespaces",), "": ()}[tier]
    made = seccomp_filter.policy(("@default", *allow), (), narrow=groups)
    return {(decision.name, decision.errno): decision.alternatives for decision in made.decisions}


def test_the_filter_is_narrowed_call_by_call():
    wide, root, shared = policy(""), policy("container-root"), policy("no-namespaces")
    for call in ("setsid", "setpgid", "truncate"):
        assert (call, None) in wide
        assert (call, None) not in root.keys() | shared.keys()
        assert (call, errno.EPERM) in root.keys() & shared.keys()
    assert ("pidfd_open", errno.ENOSYS) in root
    for call in ("chmod", "fchmodat", "fchownat", "utimensat"):
        assert (call, None) in root, "a uid of its own owns nothing else"
        assert (call, errno.EPERM) in shared
        assert (call, None) not in shared
    assert root["sched_setaffinity", None] == (((0, 0xFFFFFFFF, 0),),)
    assert len(root["setpriority", None]) == 2, "itself or its group, never a user"


def test_narrowing_allows_nothing_that_was_not_allowed():
    assert not {name for name, _ in policy("no-namespaces")} - {name for name, _ in policy("")}
    assert ("shmget", errno.EPERM) in policy("container-root", "@sysv-ipc")
    assert ("setsid", None) not in policy("container-root", "setsid"), "not even by its plain name"


def test_half_of_the_namespaces_stays_what_it_was(host):
    """user, mount and pid come together: one who leaves out uts only has no tier."""
    plan = made(host, 'require.layers=["!uts"]', name="strict")
    assert plan.tiers == ()
    clone = next(step for step in plan.steps if isinstance(step, process.CloneNamespaces))
    assert {"user", "mount", "pid"} <= set(clone.names)
    assert "uts" not in clone.names
