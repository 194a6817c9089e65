"""The host's clock is set while jails run and wait (clock_settime(2)): by root of the guest, for each guest has a clock of its own."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.in_turn
# Jumps an hour forward and then a day back, once what runs has said that it does. `before` is over at once; this goes on.
JUMPING = """cat >/tmp/jump <<'X'
until test -e /tmp/began; do sleep 0.1; done
sleep 1; date --set '+1 hour'; sleep 1; date --set '-1 day'; touch /tmp/jumped
X
setsid sh /tmp/jump </dev/null >/dev/null 2>&1 &
"""
PAYLOAD = """
import time
began, last, jumps = time.monotonic(), time.time(), []
print("running", flush=True)
while time.monotonic() < began + {seconds}:
    time.sleep(0.05)
    now = time.time()
    if abs(now - last) > 1000:
        jumps.append(round((now - last) / 3600))
    last = now
print(jumps, flush=True)
"""
RUN = """
cat >/tmp/payload.py <<'X'
{payload}
X
jailpy exec {limits} --ro /tmp/payload.py:/work/payload.py --report /tmp/report -- python3 payload.py >/tmp/out 2>/tmp/err &
run=$!
until grep -q running /tmp/out; do kill -0 $run || break; sleep 0.1; done
touch /tmp/began
wait $run; echo $?; tail -n 1 /tmp/out; cat /tmp/report
"""
POOLED = """cat >/tmp/pooled.py <<'X'
import json, os, time
import jailpy

with jailpy.Launcher(pool=2, wall="60s", idle="30s") as launcher:
    wait = 1
    while not launcher.stats()["pooled"]:  # how long the pool takes to fill depends on the emulated processor
        launcher.run(["true"])
        time.sleep(wait)
        wait += 1
    time.sleep(2 * wait)
    taken = launcher.stats()["pooled"]
    before = time.time() - time.monotonic()
    open("/tmp/began", "w").close()
    while not os.path.exists("/tmp/jumped"):
        time.sleep(0.1)
    jump = round((time.time() - time.monotonic() - before) / 3600)
    reports = [launcher.run(["sleep", "2"]).report() for _ in range(2)]
    runs = [(report["verdict"], report["usage"]["wall_s"]) for report in reports]
    print(json.dumps([jump, launcher.stats()["pooled"] - taken, runs]))
X
python3 /tmp/pooled.py
"""


def run(guest, mode, limits, seconds):
    """Return exit status, the payload's last line and the report of a run during which the clock jumps."""
    command = RUN.format(limits=limits, payload=PAYLOAD.format(seconds=seconds))
    done = guest.run(command, mode=mode, before=JUMPING)
    assert done.status == 0, done.out + done.err
    status, last, text = done.out.split("\n", 2)
    return status, last, json.loads(text)


@pytest.mark.parametrize("mode", ["user", "root"])
def test_a_run_goes_on_while_the_clock_jumps(guest, mode):
    status, seen, report = run(guest, mode, "--wall 30s --idle 20s", 5)
    assert seen == "[1, -24]", "the payload saw both jumps, in hours"
    assert (status, report["verdict"]) == ("0", "ok")
    assert 5 <= report["usage"]["wall_s"] < 12
    assert report["usage"]["cpu_s"] < 12


@pytest.mark.parametrize("mode", ["user", "root"])
def test_a_limit_is_met_in_time_while_the_clock_jumps(guest, mode):
    status, _, report = run(guest, mode, "--wall 6s", 100)
    assert (status, report["verdict"]) == ("124", "wall_limit")
    assert 6 <= report["usage"]["wall_s"] < 8


def test_a_pool_waits_while_the_clock_jumps(guest):
    done = guest.run(POOLED, before=JUMPING)
    assert done.status == 0, done.out + done.err
    jump, pooled, runs = json.loads(done.out)
    assert jump == -23
    assert pooled >= 1
    assert [verdict for verdict, _ in runs] == ["ok", "ok"]
    assert [2 <= wall < 6 for _, wall in runs] == [True, True], runs
