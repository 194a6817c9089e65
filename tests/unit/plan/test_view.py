"""The view: what a template may do before any run is what no run can tell from its own."""

import itertools

import pytest

from jailpy.plan import view
from jailpy.steps import mounts
from tests.unit.plan.test_planning import COMMAND, host, plan

__all__ = ["host"]

OWN = (mounts.OpenSource, mounts.MapSource, mounts.NewProc, mounts.NewDevpts, mounts.Mask, mounts.TakeFolder, mounts.CopyTree,
       mounts.NewOverlay, mounts.OfferFolder, mounts.BindReadOnly, mounts.ChangeRoot, mounts.AttachBehind, mounts.Attach)  # fmt: skip


def test_the_view_is_one_stretch_of_the_order(host):
    made = plan(host)
    assert len(made.shared) > 20
    phases = [phase for phase, _ in itertools.groupby(made.phase(position) for position in range(len(made.steps)))]
    assert phases.count(view.PHASE) == 1
    assert phases.index("identity") + 1 == phases.index(view.PHASE) == phases.index("birth") - 1


def test_nothing_of_a_run_is_in_the_view(host):
    made = plan(host, command=COMMAND.replace(terminal=True, collect=True))
    steps = [made.steps[position] for position in made.shared]
    assert not [step for step in steps if isinstance(step, OWN)]
    assert [type(step) for step in steps].count(mounts.NewTmpfs) == 1
    assert all(step.side == "init" and step.layer == "mount" for step in steps)


@pytest.mark.parametrize("step", [
    mounts.MakeFolder("work/a"), mounts.MakeFile("work/a"), mounts.MakeLink("work/a", "b"),
    mounts.ShowSystem("/usr/x", "work/a", 1), mounts.MakeFolder(f"{mounts.DISK}/4"),
])  # fmt: skip
def test_what_lies_below_a_place_of_the_run_is_the_runs(step):
    steps = [mounts.EnterRoot(1), mounts.MakeFolder("work"), mounts.Attach(2, "work", "it"), step]
    assert view.shared(steps) == {0, 1}
    assert view.shared([*steps[:2], step]) == ({0, 1, 2} if not step.describe().endswith("disk") else {0, 1})


def test_two_commands_of_one_profile_share_their_view(host):
    first, second = plan(host), plan(host, command=COMMAND.replace(argv=("other", "words")))
    assert [first.steps[position] for position in first.shared] == [second.steps[position] for position in second.shared]
