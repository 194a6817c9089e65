"""Launchers in forked children, threads, asyncio and pools of workers."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

import jailpy
from tests.core import PATIENCE, alive, eventually, token

pytestmark = pytest.mark.usefixtures("nothing_left", "no_server_left")


def in_child(work):
    """Fork; return what `work` returned in the child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.write(writer, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        found = file.read().decode()
    os.waitpid(pid, 0)
    return found


def test_fork_of_a_process_whose_launcher_is_in_use():
    with jailpy.Launcher() as launcher:
        held = launcher.popen(["cat"], stdin=-1, stdout=-1)
        server = launcher._server._process.pid

        def child():
            try:
                held.wait()
            except jailpy.UsageError as error:
                words = str(error)
            held.kill()
            mine = launcher.run(["echo", "child"]).stdout
            other = launcher._server._process.pid != server
            stats = launcher.stats()
            launcher.close()
            return words, mine, other, stats["started"], stats["server_starts"], held.stdin.closed

        expected = ("the run belongs to the process that started it", b"child\n", True, 1, 1, True)
        assert in_child(child) == repr(expected)
        held.stdin.write(b"still here")
        held.stdin.close()  # and the child does not hold it open
        assert held.stdout.read() == b"still here"
        assert held.wait(5).verdict == "ok"
        held.stdout.close()
        assert launcher.run(["echo", "parent"]).stdout == b"parent\n"
        assert launcher.stats()["server_starts"] == 1


def test_fork_while_threads_run(run_script):
    """Children forked at any moment of the parent's runs can run, and hold nothing of the parent's."""
    out = run_script(
        """
        import os, sys, threading, jailpy
        launcher, stop = jailpy.Launcher(), []
        def work():
            while not stop: assert launcher.run(["cat"], input=b"x").stdout == b"x"
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        for at in range(8):
            pid = os.fork()
            if pid == 0:
                try:
                    ok = launcher.run(["echo", "y"]).stdout == b"y\\n"
                    launcher.close()
                finally:
                    os._exit(0 if ok else 1)
            print(os.waitpid(pid, 0)[1])
        stop.append(1)
        for thread in threads: thread.join()
        print(launcher.stats()["failed"], launcher.stats()["server_starts"])
        launcher.close()
        """
    )
    assert out.split() == ["0"] * 8 + ["0", "1"]


def test_a_server_like_gunicorn(script):
    """A master that has used JailPy forks workers before they serve; it dies, and nothing is left."""
    process = script(
        """
        import os, sys, jailpy
        launcher = jailpy.Launcher(wall="5s")
        assert launcher.run(["true"]).verdict == "ok"
        requests, answers = os.pipe(), os.pipe()
        for worker in range(3):
            if os.fork() == 0:
                while word := os.read(requests[0], 1):
                    done = launcher.run(["echo", "-n", word])
                    os.write(answers[1], done.stdout + b"%d." % launcher.stats()["server_starts"])
        for at in range(12): os.write(requests[1], b"%d" % (at % 10))
        got = b""
        while got.count(b".") < 12: got += os.read(answers[0], 99)
        print(sorted(got.split(b".")[:-1]))
        print(launcher.run(["echo", "master"], text=True).stdout, launcher.stats()["server_starts"], flush=True)
        os.close(requests[1])
        os.killpg(0, 9)
        """,
        start_new_session=True,
    )
    out, err = process.communicate(timeout=60)
    wanted = sorted(b"%d1" % (at % 10) for at in range(12))
    assert (out, err) == (f"{wanted}\nmaster\n 1\n", "")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_and_pools(run_script, method):
    """As Celery and Dask workers do: processes with threads, a launcher each or one handed over, errors by pickle."""
    out = run_script(
        """
        import multiprocessing, sys, jailpy
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

        def one(word): return jailpy.run(["echo", "-n", word], text=True).stdout
        def handed(launcher): return launcher.run(["sh", "-c", "ulimit -n"], text=True).stdout.strip()
        def bad(word): jailpy.run([word])
        def failing(word): return jailpy.run(["sh", "-c", "echo no >&2; exit 3"], check=True)

        def process(word, results):
            with ThreadPoolExecutor(3) as pool: results.put(sorted(pool.map(one, [word + str(n) for n in range(4)])))

        if __name__ == "__main__":
            multiprocessing.set_start_method(sys.argv[1])
            print(one("first"))
            results = multiprocessing.Queue()
            processes = [multiprocessing.Process(target=process, args=(word, results)) for word in "ab"]
            for each in processes: each.start()
            print(sorted(results.get() for _ in processes))
            for each in processes: each.join()
            with ProcessPoolExecutor(2) as pool:
                print(list(pool.map(one, "cdef")), pool.submit(handed, jailpy.Launcher(open_files=50)).result())
                for call in (bad, failing):
                    try: pool.submit(call, "no-such-program").result()
                    except jailpy.JailPyError as error: print(type(error).__name__, error)
            print([process.exitcode for process in processes])
        """,
        method,
    )
    assert out.splitlines() == [
        "first",
        "[['a0', 'a1', 'a2', 'a3'], ['b0', 'b1', 'b2', 'b3']]",
        "['c', 'd', 'e', 'f'] 50",
        "CommandError command: no-such-program: not found in the jail",
        "PayloadError sh: nonzero_exit, status 3: no",
        "[0, 0]",
    ]


@pytest.mark.slow
@pytest.mark.timeout(120 * PATIENCE)
def test_sixteen_threads():
    with jailpy.Launcher() as launcher:

        def work(thread):
            return [launcher.run(["echo", f"{thread}-{at}"], text=True).stdout.strip() for at in range(20)]

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(work, range(16)))
        assert found == [[f"{thread}-{at}" for at in range(20)] for thread in range(16)]
        assert launcher.stats()["ended"] == 320
        assert launcher.stats()["server_starts"] == 1
        assert len(launcher._server._idle) <= 16


def test_asyncio_gathers():
    count = int(50 / PATIENCE)  # on a host with systemd as many workers ask for a scope at once

    async def main(launcher):
        runs = [launcher.run_async(["sh", "-c", "cat; exit 2"], input=str(at), text=True) for at in range(count)]
        return await asyncio.gather(*runs)

    with jailpy.Launcher(wall="60s") as launcher:
        found = asyncio.run(main(launcher))
    assert [(done.stdout, done.returncode) for done in found] == [(str(at), 2) for at in range(count)]


def test_asyncio_raises_where_it_is_awaited():
    with jailpy.Launcher() as launcher:
        with pytest.raises(jailpy.CommandError):
            asyncio.run(launcher.run_async(["no-such-program"]))
        with pytest.raises(jailpy.UsageError):
            asyncio.run(launcher.run_async(["true"], memroy=1))


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.02, 0.1, 0.2, 0.4])
def test_cancelling_a_task_in_every_phase(pause):
    word = token()
    command = ["/usr/bin/python3", "-c", "import time; time.sleep(60)", word]

    async def main(launcher):
        tasks = [asyncio.create_task(launcher.run_async(command, input=b"x" * 200_000)) for _ in range(3)]
        await asyncio.sleep(pause)
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 3
        assert alive(word) == []
        assert launcher.stats()["running"] == 0

    with jailpy.Launcher() as launcher:
        asyncio.run(main(launcher))
        assert alive(word) == []
        assert launcher.run(["true"]).verdict == "ok"


def test_cancelling_twice_waits_all_the_same():
    word = token()

    async def main(launcher):
        task = asyncio.create_task(launcher.run_async(["/usr/bin/python3", "-c", "import time; time.sleep(60)", word]))
        await asyncio.to_thread(eventually, lambda: alive(word))
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert alive(word) == []

    with jailpy.Launcher() as launcher:
        asyncio.run(main(launcher))


def test_a_timeout_of_asyncio_kills_the_run():
    word = token()

    async def main(launcher):
        async with asyncio.timeout(1):
            await launcher.run_async(["/usr/bin/python3", "-c", "import time; time.sleep(60)", word])

    with jailpy.Launcher() as launcher:
        with pytest.raises(TimeoutError):
            asyncio.run(main(launcher))
        assert alive(word) == []


def test_tasks_beyond_the_most_wait_their_turn():
    from jailpy.client import asynchronous, threads

    before, asynchronous._background._threads = asynchronous._background._threads, threads.Threads(2)
    try:

        async def main(launcher):
            tasks = [asyncio.create_task(launcher.run_async(["sleep", "0.2"])) for _ in range(6)]
            await asyncio.sleep(0.3)
            assert launcher.stats()["started"] <= 4
            tasks[5].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

        with jailpy.Launcher() as launcher:
            *ends, last = asyncio.run(main(launcher))
            assert [done.verdict for done in ends] == ["ok"] * 5
            assert isinstance(last, asyncio.CancelledError)
            assert launcher.stats()["started"] == 5
    finally:
        asynchronous._background._threads = before
