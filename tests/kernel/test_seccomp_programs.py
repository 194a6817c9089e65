"""Real programs under strict's filter alone: they run, and not one call of theirs is denied."""

from __future__ import annotations

import pytest

from tests.kernel.confined import confined

PYTHON = {
    "threads": """
        import threading, concurrent.futures
        workers = [threading.Thread(target=print, args=(i,)) for i in range(4)]
        [w.start() for w in workers]; [w.join() for w in workers]
        with concurrent.futures.ThreadPoolExecutor(3) as pool: print(list(pool.map(abs, [-1])))""",
    "multiprocessing by fork": """
        import multiprocessing as m
        from multiprocessing import shared_memory
        m.set_start_method("fork")
        with m.Pool(2) as pool: print(pool.map(abs, [-1, 2]))
        queue = m.Queue(); worker = m.Process(target=queue.put, args=(1,)); worker.start(); print(queue.get()); worker.join()
        m.Value("i", 1), m.Lock(), m.Semaphore(2)
        block = shared_memory.SharedMemory(create=True, size=10); block.close(); block.unlink()""",
    "multiprocessing by spawn": """
        import multiprocessing as m
        if __name__ == "__main__":
            m.set_start_method("spawn")
            with m.Pool(2) as pool: print(pool.map(abs, [-1, 2]))
            worker = m.Process(target=print, args=(5,)); worker.start(); worker.join()""",
    "subprocess": """
        import subprocess, os
        print(subprocess.run(["ls", "/"], capture_output=True, check=True).returncode)
        print(subprocess.run("ls / | wc -l", shell=True, start_new_session=True, check=True).returncode)
        assert os.system("true") == 0 and os.popen("id").read()""",
    "sqlite3": """
        import sqlite3
        db = sqlite3.connect("x.db"); db.execute("pragma journal_mode=wal"); db.execute("create table a (b)")
        db.execute("insert into a values (1)"); db.commit(); print(db.execute("select * from a").fetchall()); db.close()""",
    "ssl, locale, tempfile, ctypes": """
        import ctypes, grp, locale, mmap, os, platform, pwd, shutil, ssl, tempfile, uuid
        ssl.create_default_context(); locale.setlocale(locale.LC_ALL, "")
        print(pwd.getpwuid(0), pwd.getpwnam("nobody"), grp.getgrgid(0), platform.platform(), os.cpu_count(), uuid.uuid4())
        with tempfile.NamedTemporaryFile() as f: f.write(b"x"); f.flush(); shutil.copy2(f.name, "copy")
        print(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x)(3))""",
    "asyncio": """
        import asyncio
        async def main():
            child = await asyncio.create_subprocess_exec("echo", "hi", stdout=-1)
            print(await child.communicate()); await asyncio.to_thread(print, 1); await asyncio.sleep(0.01)
        asyncio.run(main())""",
}
SHELL = {
    "bash and coreutils": """
        for i in 3 1 2; do echo $i; done | sort -r | head -2; [ -f /etc/passwd ] && cat <(date)
        mkdir -p d; touch d/f; ln -s f d/l; ls -la d; cp -a d e; mv e g; find g; stat g; du -s g; df . ; rm -r d g
        mkfifo p; rm p; seq 100 | xargs -n 10 -P 3 echo | wc -l; sleep 0.1 & wait; id; nproc; nice true; tty; stty -a
        tar cf - /etc/passwd | gzip | wc -c; sed s/a/b/ /etc/passwd | awk '{n++} END {print n}'; dd if=/dev/zero of=z count=1
        install -m 755 z y; mktemp; timeout 5 true; ulimit -a; trap 'echo end' EXIT""",
    "perl": """perl -e 'use POSIX; use Socket; my $p = fork; exit 0 unless $p; wait; print `ls /`; my @a = getpwuid(0);
        open(F, ">", "x"); print F 1; close F; unlink "x"; select(undef, undef, undef, .01);
        socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!; print "$a[0]\\n"'""",
    "node": """node -e 'const fs = require("fs"), cp = require("child_process"); fs.writeFileSync("n", "x");
        fs.copyFileSync("n", "m"); console.log(cp.execSync("echo hi") + "", require("os").cpus().length);
        new (require("worker_threads").Worker)("console.log(1)", {eval: true}); fs.promises.readFile("/etc/passwd");
        const c = cp.spawn("cat"); c.stdin.end("x"); c.stdout.on("data", d => console.log(d + "")); setTimeout(() => 0, 10)'""",
    "gcc": """echo 'int puts(const char *); int main(void) { puts("hi"); return 0; }' > a.c; gcc -O2 a.c && ./a.out; strip a.out""",
    "g++": """echo '#include <iostream>
        #include <thread>
        int main() { std::thread t([] { std::cout << 1; }); t.join(); }' > a.cc; g++ -pipe -pthread a.cc && ./a.out""",
    "rustc": """echo 'fn main() { std::thread::spawn(|| ()).join().unwrap(); std::process::Command::new("true").status().unwrap(); }' \
        > a.rs; rustc -O a.rs && ./a""",
}


@pytest.mark.parametrize("name", PYTHON)
def test_python(name, tmp_path, monkeypatch, need_tool):
    lines = PYTHON[name].strip("\n").split("\n")
    (tmp_path / "script.py").write_text("\n".join(line[8:] for line in lines))
    monkeypatch.chdir(tmp_path)
    done = confined([need_tool("python3"), "script.py"])
    assert done.status == 0, done.output
    assert done.report == []


@pytest.mark.parametrize("name", SHELL)
def test_programs(name, tmp_path, monkeypatch, need_tool):
    if name != "bash and coreutils":
        need_tool(name)
    monkeypatch.chdir(tmp_path)
    done = confined([need_tool("bash"), "-c", SHELL[name]])
    assert done.status == 0, done.output
    assert done.report == []


@pytest.mark.parametrize("violation", ["errno", "kill"])
def test_java(tmp_path, monkeypatch, need_tool, violation):
    need_tool("javac")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "A.java").write_text(
        "import java.util.concurrent.*; public class A { public static void main(String[] a) throws Exception {"
        ' var pool = Executors.newFixedThreadPool(2); System.out.println(pool.submit(() -> "ran").get()); pool.shutdown();'
        ' new ProcessBuilder("true").start().waitFor(); } }'
    )
    command = [need_tool("bash"), "-c", "javac A.java && java -Xmx64m A"]
    done = confined(command, "@default", "@java-probes", violation=violation)
    assert (done.status, done.output, done.report) == (0, b"ran\n", [])


def test_java_without_its_probes_runs_too_and_says_what_it_asked(tmp_path, monkeypatch, need_tool):
    need_tool("java")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "A.java").write_text(
        "public class A { public static void main(String[] a) throws Exception { new java.net.ServerSocket(0); } }"
    )
    done = confined([need_tool("bash"), "-c", "javac A.java; java -Xmx64m A"])
    assert b"SocketException" in done.output
    assert {entry["what"] for entry in done.report} == {"socket"}
    assert done.report[0]["allow_with"] == '[network] mode = "loopback"'


def test_a_manager_needs_the_unix_group(tmp_path, monkeypatch, need_tool):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text("import multiprocessing as m\nwith m.Manager() as x: print(list(x.list([1])))\n")
    denied = confined([need_tool("python3"), "script.py"])
    assert denied.status != 0
    assert [entry["allow_with"] for entry in denied.report] == ['[seccomp] allow = ["@unix"]']
    allowed = confined([need_tool("python3"), "script.py"], "@default", "@unix")
    assert (allowed.status, allowed.output, allowed.report) == (0, b"[1]\n", [])
