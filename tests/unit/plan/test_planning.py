"""Layers and plans as pure functions: unmet needs, accepted gaps, the order of steps, and a word for every step."""

from __future__ import annotations

import errno
import itertools

import pytest

import jailpy.child.plain  # noqa: F401 - its steps are a launch's too
from jailpy import child
from jailpy.errors import HostError
from jailpy.host import facts
from jailpy.host.apparmor import Loaded
from jailpy.host.cgroups import Base, CgroupFacts
from jailpy.layers import Command, privileges, syscall_table
from jailpy.plan.codec import to_json
from jailpy.plan.compile import PLANNERS, Plan, Rejection, compile_plan
from jailpy.plan.order import ORDER
from jailpy.profile.load import load
from jailpy.profile.model import LAYERS
from jailpy.profile.overrides import parse_set
from jailpy.steps import Step, cgroups, mounts, process
from tests.unit.seccomp import bpf

COMMAND = Command(argv=("prog", "arg"), environment=(("PATH", "/usr/bin:/bin"),))
V2 = CgroupFacts((Base("/sys/fs/cgroup/own", ("memory", "pids", "cpu", "io"), 2),), "/sys/fs/cgroup/own", "", ())
V1 = CgroupFacts(
    tuple(Base(f"/sys/fs/cgroup/{name}/u", (name,), 1) for name in ("memory", "pids", "cpu", "cpuacct")), "", "", ()
)
NO_CGROUPS = CgroupFacts((), "", "", tuple((name, f"nobody gives {name}") for name in ("memory", "pids", "cpuacct", "cpu")))


@pytest.fixture(scope="module")
def host():
    """This host's facts, with cgroups that do not depend on where the test runs."""
    return facts.gather().replace(cgroups=V2, kernel=(6, 12), landlock_abi=6, apparmor=False)


def profile(*settings, name="strict"):
    return load(name, tuple(parse_set(setting) for setting in settings))


def plan(host, *settings, command=COMMAND, excused=(), name="strict"):
    made = compile_plan(profile(*settings, name=name), host, command, excused)
    assert isinstance(made, Plan), made.error({}).message
    return made


def layer(made, name):
    return next(found for found in made.layers if found.name == name)


def test_every_layer_is_planned_once_and_in_order(host):
    assert tuple(PLANNERS) == LAYERS
    assert tuple(found.name for found in plan(host).layers) == LAYERS


def program(made):
    return next(step.program for step in made.steps if isinstance(step, process.LoadFilter))


def test_huge_pages_of_the_host_are_kept_from_a_payload(host):
    found = {has: bpf.decode(program(plan(host.replace(huge_pages=has)))) for has in (False, True)}
    number = syscall_table.load().number("mmap", host.machine)
    for flags, answer in ((0x22, bpf.ALLOW), (0x40022, bpf.ERRNO | errno.ENOMEM)):
        args = [0, 2 << 20, 3, flags, 0xFFFFFFFF, 0]
        assert bpf.run(found[True], host.machine, number, args) == answer
        assert bpf.run(found[False], host.machine, number, args) == bpf.ALLOW, "where there are none it costs nothing"


def test_huge_pages_are_seen_in_each_pool(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "_HUGE_PAGES", f"{tmp_path}")
    for size in ("2048kB", "1048576kB"):
        (tmp_path / size).mkdir()
        for count in ("nr_hugepages", "nr_overcommit_hugepages"):
            (tmp_path / size / count).write_text("0\n")
    assert not facts._huge_pages()
    for count in ("nr_hugepages", "nr_overcommit_hugepages"):
        (tmp_path / "2048kB" / count).write_text("3\n")
        assert facts._huge_pages()
        (tmp_path / "2048kB" / count).write_text("0\n")
    (tmp_path / "1048576kB" / count).unlink()
    assert facts._huge_pages(), "what cannot be read may be there"


def test_unmet_needs_are_all_listed(host):
    made = compile_plan(profile(), host.replace(cgroups=NO_CGROUPS, landlock_abi=0), COMMAND)
    assert isinstance(made, Rejection)
    assert {need.layer for need in made.needs} == {"cgroup", "landlock"}
    assert {need.what for need in made.needs if need.layer == "cgroup"} >= {"the memory controller", "the pids controller"}
    error = made.error({})
    assert isinstance(error, HostError)
    assert error.needs == made.needs
    assert f"and {len(made.needs) - 1} more" in error.message
    assert all(need.why and need.fix for need in made.needs)
    assert "\n" not in error.message
    assert any("--allow-missing" in hint for hint in error.hints)


def test_accepted_gaps_are_recorded(host):
    bare = host.replace(cgroups=NO_CGROUPS)
    made = compile_plan(profile(), bare, COMMAND)
    assert isinstance(made, Rejection)
    accepted = compile_plan(profile(), bare, COMMAND, ("cgroup",))
    assert isinstance(accepted, Plan)
    assert accepted.excused == ("cgroup",)
    assert layer(accepted, "cgroup").state == "degraded"
    assert accepted.tiers == ("no-cgroup",)
    assert isinstance(compile_plan(profile('require.tiers=["no-cgroup"]'), bare, COMMAND), Plan)
    assert not [step for step in accepted.steps if isinstance(step, cgroups.MakeCgroup)]
    assert to_json(accepted)["allowed_missing"] == ["cgroup"]
    both = compile_plan(profile(), bare.replace(landlock_abi=0), COMMAND, ("cgroup",))
    assert isinstance(both, Rejection), "one accepted gap is not another"
    assert {need.layer for need in both.needs} == {"landlock"}


def test_degraded_never_satisfies_a_requirement(host):
    some = CgroupFacts(
        (Base("/sys/fs/cgroup/pids", ("pids",), 1),), "", "", (("memory", "no"), ("cpuacct", "no"), ("cpu", "no"))
    )
    made = compile_plan(profile(), host.replace(cgroups=some), COMMAND)
    assert isinstance(made, Rejection)
    accepted = compile_plan(profile(), host.replace(cgroups=some), COMMAND, ("cgroup",))
    assert layer(accepted, "cgroup").state == "degraded"
    assert "without memory" in layer(accepted, "cgroup").mechanism


def test_a_preferred_layer_may_be_absent(host):
    made = plan(host)
    assert layer(made, "apparmor").state == "absent"
    loaded = host.replace(apparmor=True, apparmor_profiles=(Loaded("jailpy-strict", "enforce"),))
    assert layer(plan(loaded), "apparmor").state == "enforced"
    assert [step for step in plan(loaded).steps if isinstance(step, process.ApparmorOnExec)]
    with pytest.raises(AssertionError, match="apparmor"):
        plan(host, 'require.layers=["apparmor"]')


def test_the_hosts_network_is_off_and_no_refusal(host):
    made = plan(host, 'network.mode="host"')
    assert layer(made, "net").state == "off"
    clone = next(step for step in made.steps if isinstance(step, process.CloneNamespaces))
    assert "net" not in clone.names
    assert not clone.flags & 0x40000000
    assert next(step for step in plan(host).steps if isinstance(step, process.CloneNamespaces)).flags & 0x40000000


EDGES = (
    (cgroups.SetCgroupLimit, process.CloneNamespaces),
    (process.CloneNamespaces, process.MapIds), (process.MapIds, process.AwaitIds), (process.AwaitIds, process.BecomeUser),
    (process.BecomeUser, process.DieWithLauncher), (process.BecomeUser, mounts.NewTmpfs), (mounts.Attach, mounts.ChangeRoot),
    (cgroups.JoinCgroup, mounts.AttachBehind), (cgroups.JoinCgroup, process.NewCgroupNamespace),
    (mounts.ChangeRoot, process.DropCapabilities), (process.NewCgroupNamespace, process.DropCapabilities),
    (process.ForbidUserNamespaces, process.DropCapabilities), (process.DropCapabilities, process.NoNewPrivs),
    (process.NoNewPrivs, process.RestrictLandlock), (process.SetStdio, process.SetRlimit),
    (process.SetRlimit, process.LoadFilter), (process.ApparmorOnExec, process.RestrictLandlock),
    (process.RestrictLandlock, process.LoadFilter), (process.LoadFilter, process.Execute),
    (process.LoadFilter, process.LimitOpenFiles), (process.LimitOpenFiles, process.Execute),
)  # fmt: skip


@pytest.mark.parametrize("groups", [V1, V2], ids=["v1", "v2"])
def test_the_order_has_every_edge(host, groups):
    loaded = host.replace(cgroups=groups, apparmor=True, apparmor_profiles=(Loaded("jailpy-strict", "enforce"),))
    steps = plan(loaded, command=COMMAND.replace(terminal=True)).steps
    at = {kind: [index for index, step in enumerate(steps) if type(step) is kind] for kind in {type(step) for step in steps}}
    for before, after in EDGES:
        if groups is V2 and before is cgroups.JoinCgroup:
            assert before not in at, "clone3 starts init in a version 2 group"
            continue
        assert max(at[before]) < min(at[after]), (before, after)
    assert at[process.LimitOpenFiles] == [len(steps) - 2]
    assert type(steps[-1]) is process.Execute
    for made in at[cgroups.MakeCgroup]:
        written = [index for index in at[cgroups.SetCgroupLimit] if steps[index].parent == steps[made].parent]
        assert all(made < index for index in written)


def test_sides_come_in_the_order_of_their_processes(host):
    """What the launcher applies before the clone, then init, then the payload; a phase belongs to one process."""
    sides = {}
    for step in plan(host, command=COMMAND.replace(terminal=True)).steps:
        sides.setdefault(step.phase, set()).add(step.side)
    assert all(len(found) == 1 for found in sides.values()), sides
    inside = [next(iter(sides[phase])) for phase, _ in ORDER if phase in sides]
    assert [side for side, _ in itertools.groupby(inside)][-2:] == ["init-after-fork", "payload"]


def concrete():
    """Every step class that is a step and not a base of some."""
    found, queue = [], [Step]
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        if kind.__module__.startswith("jailpy.steps") and "describe" in kind.__dict__ and kind is not Step:
            found.append(kind)
    return found


VALUES = {
    "int": 5, "str": "some/path", "bool": True, "bytes": b"x", "float": 1.0, "tuple[int, int]": (1, 2), "tuple[str, ...]": ("a", "b"),
    "tuple[int, ...]": (1,), "tuple[int, int, int]": (1, 2, 3), "tuple[tuple[str, int], ...]": (("a", 1),),
    "tuple[bytes, ...]": (b"a", b"\xff"), "tuple[tuple[bytes, bytes], ...]": ((b"A", b"b"),),
}  # fmt: skip


@pytest.mark.parametrize("kind", concrete(), ids=lambda kind: kind.__name__)
def test_every_step_has_words_a_layer_a_phase_and_an_apply_function(kind):
    kinds = {name: value for base in reversed(kind.__mro__) for name, value in getattr(base, "__annotations__", {}).items()}
    step = kind(**{name: VALUES.get(kinds[name]) for name in kind._fields})
    words = step.describe()
    assert words
    assert "\n" not in words
    assert words[0].islower()
    assert not words.endswith(".")
    assert step.layer in (*LAYERS, "payload")
    assert step.phase in dict(ORDER)
    assert step.side in ("launcher", "init", "init-after-fork", "payload")
    assert (kind in child.APPLY) == (step.side != "launcher")


def test_the_codec_knows_every_step(host):
    import json

    made = plan(host, command=COMMAND.replace(argv=("a", "\udcff")))
    text = json.dumps(to_json(made))
    assert len(json.loads(text)["steps"]) == len(made.steps)


@pytest.mark.parametrize(("groups", "files"), [
    (V2, {"memory.max": "67108864", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "8", "cpu.max": "50000 100000"}),
    (V1, {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "67108864", "pids.max": "8",
          "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
])  # fmt: skip
def test_limits_become_the_kernels_files(host, groups, files):
    made = plan(host.replace(cgroups=groups), 'limits.memory="64M"', "limits.processes=7", "limits.cpus=0.5")
    written = {step.file: step.value for step in made.steps if isinstance(step, cgroups.SetCgroupLimit)}
    assert written == files, "one process more than asked for: init"


@pytest.mark.parametrize(("mode", "limited", "notes"), [("none", False, 0), ("loopback", True, 2), ("host", True, 2)])
def test_version_1_limits_the_memory_of_network_sockets_by_itself(host, mode, limited, notes):
    made = plan(host.replace(cgroups=V1), 'limits.memory="64M"', f'network.mode="{mode}"')
    written = {step.file: step.value for step in made.steps if isinstance(step, cgroups.SetCgroupLimit)}
    assert ("memory.kmem.tcp.limit_in_bytes" in written) is limited
    assert written.get("memory.kmem.tcp.limit_in_bytes", "67108864") == written["memory.limit_in_bytes"]
    assert len([note for note in layer(made, "cgroup").notes if note.startswith("memory: ")]) == notes
    made = plan(host.replace(cgroups=V2), f'network.mode="{mode}"')
    assert not any("tcp" in step.file for step in made.steps if isinstance(step, cgroups.SetCgroupLimit))
    assert len([note for note in layer(made, "cgroup").notes if "tcp_mem" in note]) == limited


def test_io_is_limited_on_each_device(host):
    shown = COMMAND.replace(devices=("8:0", "253:0"), without_device=("/nfs (nfs4)",))
    made = plan(host, 'limits.io="1M"', command=shown)
    values = [step.value for step in made.steps if isinstance(step, cgroups.SetCgroupLimit) and step.file == "io.max"]
    assert values == ["8:0 rbps=1048576 wbps=1048576", "253:0 rbps=1048576 wbps=1048576"]
    assert layer(made, "cgroup").notes == ("io: no block device to limit behind /nfs (nfs4)",)
    assert "io.max" not in {step.file for step in plan(host, command=shown).steps if isinstance(step, cgroups.SetCgroupLimit)}
    few = CgroupFacts((Base("/x", ("memory", "pids", "cpu"), 2),), "", "", (("io", "nobody gives io"),))
    refused = compile_plan(profile('limits.io="1M"'), host.replace(cgroups=few), shown)
    assert isinstance(refused, Rejection)
    assert [need.what for need in refused.needs] == ["the io controller"]


def test_a_tighter_limit_around_is_told(host):
    around = (("memory.max", 1 << 20, "/sys/fs/cgroup/outer"), ("pids.max", 5000, "/sys/fs/cgroup/outer"))
    made = plan(host.replace(cgroups=V2.replace(around=around)))
    assert layer(made, "cgroup").notes == (
        "memory.max of /sys/fs/cgroup/outer is 1048576: lower than this profile's limit, for all that runs in there together",
    )
    assert layer(plan(host), "cgroup").notes == ()


@pytest.mark.parametrize(("via", "kind"), [("scope", "EnterScope"), ("leaf", "EnterLeaf"), ("enable", "EnableControllers")])
def test_the_way_to_a_delegated_group_comes_first(host, via, kind):
    made = plan(host.replace(cgroups=V2.replace(via=via)))
    assert type(made.steps[0]).__name__ == kind
    assert made.steps[0].controllers == ("memory", "pids", "cpu", "io")
    assert not any(
        isinstance(step, (cgroups.EnterScope, cgroups.EnterLeaf, cgroups.EnableControllers)) for step in plan(host).steps
    )


def test_cpus_without_a_controller_are_by_affinity(host):
    few = CgroupFacts((Base("/x", ("memory", "pids"), 2),), "", "", (("cpu", "no"),))
    made = plan(host.replace(cgroups=few), "limits.cpus=1.0")
    assert [step.count for step in made.steps if isinstance(step, process.SetAffinity)] == [1]
    assert not [step for step in plan(host).steps if isinstance(step, process.SetAffinity)]


def test_a_lower_hard_limit_of_the_host_is_kept(host):
    hard = tuple((name, 40 if name == "NOFILE" else value) for name, value in host.hard_limits)
    made = plan(host.replace(hard_limits=hard))
    limits = {step.name: (step.value, step.hard) for step in made.steps if isinstance(step, process.SetRlimit)}
    assert limits["RLIMIT_NOFILE"] == (40, 40)
    normal = {step.name: step.value for step in plan(host).steps if isinstance(step, process.SetRlimit)}
    assert normal["RLIMIT_NOFILE"] == 64
    assert {
        "RLIMIT_NOFILE",
        "RLIMIT_FSIZE",
        "RLIMIT_CORE",
        "RLIMIT_STACK",
        "RLIMIT_MEMLOCK",
        "RLIMIT_NICE",
        "RLIMIT_RTPRIO",
    } <= set(normal)


def test_an_old_kernel_counts_processes_for_the_whole_account(host):
    names = [step.name for step in plan(host.replace(kernel=(5, 10))).steps if isinstance(step, process.SetRlimit)]
    assert "RLIMIT_NPROC" not in names
    assert "RLIMIT_NPROC" in [step.name for step in plan(host).steps if isinstance(step, process.SetRlimit)]


def test_without_a_cpu_clock_the_rlimit_bounds_each_process(host):
    bare = compile_plan(profile(), host.replace(cgroups=NO_CGROUPS), COMMAND, ("cgroup",))
    assert {step.name: step.value for step in bare.steps if getattr(step, "name", "") == "RLIMIT_CPU"} == {"RLIMIT_CPU": 6}
    assert not [step for step in plan(host).steps if getattr(step, "name", "") == "RLIMIT_CPU"]


@pytest.mark.parametrize(("name", "path", "found"), [
    ("prog", "/usr/bin:/bin", (b"/usr/bin/prog", b"/bin/prog")),
    ("/usr/bin/prog", "/bin", (b"/usr/bin/prog",)),
    ("./prog", "/bin", (b"./prog",)),
    ("a/b", "/bin", (b"a/b",)),
    ("prog", "", ()),
    ("prog", "relative::/bin:", (b"/bin/prog",)),
    ("pro\udcffg", "/bin", (b"/bin/pro\xffg",)),
])  # fmt: skip
def test_candidates_are_those_of_execvp(name, path, found):
    assert privileges.candidates(name, path) == found


def test_a_plan_is_the_same_twice(host):
    assert plan(host) == plan(host)
    assert plan(host, 'limits.memory="64M"') != plan(host)
    assert plan(host, 'limits.memory="64M"').profile.digest != plan(host).profile.digest


def test_a_right_that_landlock_lacks_must_be_covered_by_a_layer_in_force(host):
    """ABI 7 knows no Unix-socket and UDP rights: the filter and the network namespace cover them, or nothing does."""
    old = host.replace(landlock_abi=7)
    covered = layer(plan(old), "landlock")
    assert (covered.state, covered.needs) == ("enforced", ())
    assert any("UDP ports: covered by the network namespace" in note for note in covered.notes)
    given = layer(plan(old, 'network.mode="host"'), "landlock")
    assert given.state == "enforced"
    assert any("UDP ports: given by network.mode = host" in note for note in given.notes)
    for gone in ("seccomp", "net"):
        with pytest.raises(AssertionError, match="landlock"):
            plan(old, f'require.layers=["!{gone}"]')
    assert layer(plan(host.replace(landlock_abi=10), 'require.layers=["!net"]'), "landlock").state == "enforced"
