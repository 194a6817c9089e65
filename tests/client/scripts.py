"""Scripts for tests/client/test_python.py: each ends the same by `python3 script.py`, in a jail, and warm in a jail."""

from __future__ import annotations


def given(source, *args, data=b""):
    """Return a script with its words on the command line and its standard input."""
    return (source.encode() if isinstance(source, str) else source), list(args), data


SCRIPTS = {
    # What a program sees of itself
    "hello": given("print('hello')\n"),
    "arguments": given(
        """
import sys
print(sys.argv, sys.orig_argv[1:])
""",
        "a",
        "",
        "-x",
        "--",
        "ä ö",
        "\udcff",
    ),
    "globals": given("print(sorted(globals()), __name__, __file__, __package__, __spec__, __doc__, __builtins__)\n"),
    "loader": given(
        """
print(type(__loader__), __loader__.name, __loader__.path)
import __main__
print(__main__.__file__)
"""
    ),
    "doc": given('"""A script."""\nprint(__doc__)\n'),
    "path": given(
        """
import sys
print(sys.path, sys.executable, sys.flags, sys.prefix, sys.warnoptions, sys._xoptions)
"""
    ),
    "switches": given(
        """
import gc, sys
print(gc.isenabled(), sys.getrecursionlimit(), sys.dont_write_bytecode)
"""
    ),
    "environment": given(
        """
import os
print(sorted(os.environ.items()), os.getenv('PATH'), os.umask(0), os.getcwd())
"""
    ),
    "environment of children": given(
        """
import os
os.environ['NEW'] = 'x'
del os.environ['HOME']
os.system('env | sort')
"""
    ),
    "streams": given(
        """
import sys
for s in (sys.stdin, sys.stdout, sys.stderr):
    print(s.name, s.mode, s.encoding, s.errors, s.line_buffering, s.write_through, s.fileno(), s.isatty(), s.newlines)
    print(type(s.buffer), s.buffer.raw.closefd, s.seekable())
"""
    ),
    "signals": given(
        """
import signal
print([(n, signal.getsignal(n)) for n in range(1, 65) if n not in (32, 33)])
"""
    ),
    "signal mask": given(
        """
import signal
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    ),
    "ignored by the kernel": given("print([l for l in open('/proc/self/status') if l[:3] == 'Sig' and l[3] in 'BIC'])\n"),
    "descriptors": given(
        """
import os
print(sorted(os.listdir('/proc/self/fd')))
"""
    ),
    "main thread": given(
        """
import threading
print(threading.main_thread().name, threading.active_count())
"""
    ),
    "own source": given(
        """
import inspect
def f():
    return 1
print(inspect.getsource(f))
"""
    ),
    "pickle": given(
        """
import pickle
class A:
    pass
print(type(pickle.loads(pickle.dumps(A()))))
"""
    ),
    "locale": given(
        """
import locale, sys
print(locale.getlocale(), locale.setlocale(locale.LC_ALL), sys.getfilesystemencoding())
"""
    ),
    # Input and output
    "input": given(
        """
name = input('who? ')
print('hello', name)
""",
        data=b"ant\n",
    ),
    "no input": given("input()\n"),
    "lines": given(
        """
import sys
print(sum(map(int, sys.stdin)))
""",
        data=b"1\n2\n3\n",
    ),
    "bytes": given(
        """
import sys
sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])
""",
        data=bytes(range(256)),
    ),
    "not text": given(
        """
import sys
print(sys.stdin.read())
""",
        data=b"\xff\n",
    ),
    "much output": given(
        """
for i in range(20000):
    print(i)
"""
    ),
    "both": given(
        """
import sys
print('out')
print('err', file=sys.stderr)
sys.stderr.write('no end')
sys.stdout.write('no end')
"""
    ),
    "surrogates": given("print('\\udcff')\n"),
    "stdout closed": given(
        """
import sys
sys.stdout.close()
"""
    ),
    "descriptor closed": given(
        """
import os
print('x')
os.close(1)
"""
    ),
    "no stdout": given(
        """
import sys
sys.stdout = None
print('x')
"""
    ),
    "own stdout": given(
        """
import io, sys
sys.stdout = io.StringIO()
print('x')
sys.__stdout__.write('y')
"""
    ),
    "stdout that cannot be flushed": given(
        """
import sys
class A:
    closed = False
    def write(self, x): pass
    def flush(self): raise OSError('full')
sys.stdout = A()
"""
    ),
    "file left open": given(
        """
f = open('x', 'w')
f.write('data')
import atexit, os
atexit.register(lambda: print(os.path.getsize('x')))
"""
    ),
    # Ends
    "exit": given(
        """
import sys
sys.exit()
"""
    ),
    "exit 0": given(
        """
import sys
print('x')
sys.exit(0)
"""
    ),
    "exit 3": given(
        """
import sys
sys.exit(3)
"""
    ),
    "exit 256": given(
        """
import sys
sys.exit(256)
"""
    ),
    "exit -1": given(
        """
import sys
sys.exit(-1)
"""
    ),
    "exit large": given(
        """
import sys
sys.exit(2**70)
"""
    ),
    "exit true": given(
        """
import sys
sys.exit(True)
"""
    ),
    "exit words": given(
        """
import sys
print('out')
sys.exit('the end')
"""
    ),
    "exit list": given(
        """
import sys
sys.exit([1, 'a'])
"""
    ),
    "exit float": given(
        """
import sys
sys.exit(1.5)
"""
    ),
    "exit by name": given("exit(4)\n"),
    "raise SystemExit": given("raise SystemExit\n"),
    "own exit": given(
        """
class E(SystemExit):
    pass
raise E(5)
"""
    ),
    "exit in a thread": given(
        """
import sys, threading
threading.Thread(target=lambda: sys.exit(3)).start()
"""
    ),
    "os._exit": given(
        """
import os
print('lost')
os._exit(7)
"""
    ),
    "abort": given(
        """
import os
os.abort()
"""
    ),
    "killed": given(
        """
import os
os.kill(os.getpid(), 9)
"""
    ),
    "terminated": given(
        """
import os
os.kill(os.getpid(), 15)
"""
    ),
    "interrupted": given(
        """
import os
def f():
    os.kill(os.getpid(), 2)
    while True: pass
f()
"""
    ),
    "KeyboardInterrupt": given("raise KeyboardInterrupt\n"),
    "own KeyboardInterrupt": given(
        """
class K(KeyboardInterrupt):
    pass
raise K
"""
    ),
    "segmentation": given(
        """
import ctypes
ctypes.string_at(0)
"""
    ),
    "broken pipe": given(
        """
import os
r, w = os.pipe()
os.close(r)
os.write(w, b'x')
"""
    ),
    # Exceptions
    "exception": given(
        """
def f(x):
    return 1 / x

f(0)
"""
    ),
    "chain": given(
        """
try:
    {}['a']
except KeyError as e:
    raise ValueError('b') from e
"""
    ),
    "context": given(
        """
try:
    {}['a']
except KeyError:
    raise ValueError('b')
"""
    ),
    "notes": given(
        """
e = ValueError('a')
e.add_note('note')
raise e
"""
    ),
    "group": given("raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n"),
    "unprintable": given(
        """
class E(Exception):
    def __str__(self): raise ValueError
raise E
"""
    ),
    "recursion": given(
        """
import sys
sys.tracebacklimit = 3
def f():
    f()
f()
"""
    ),
    "exception in a thread": given(
        """
import threading
def f():
    1 / 0
t = threading.Thread(target=f, name='T')
t.start()
t.join()
print('on')
"""
    ),
    "exception in del": given(
        """
class A:
    def __del__(self):
        1 / 0
a = A()
del a
"""
    ),
    "hook": given(
        """
import sys
def hook(*a):
    print('hook', a[0].__name__, a[1], a[2].tb_lineno)
sys.excepthook = hook
1 / 0
"""
    ),
    "bad hook": given(
        """
import sys
def hook(*a):
    raise TypeError('worse')
sys.excepthook = hook
1 / 0
"""
    ),
    "hook that exits": given(
        """
import sys
sys.excepthook = lambda *a: sys.exit(9)
1 / 0
"""
    ),
    "no hook": given(
        """
import sys
del sys.excepthook
1 / 0
"""
    ),
    "last": given(
        """
import atexit, sys
atexit.register(lambda: print(sys.last_type, sys.last_value))
1 / 0
"""
    ),
    "caught": given(
        """
import traceback
def f():
    1 / 0
try:
    f()
except ZeroDivisionError:
    traceback.print_exc()
"""
    ),
    "syntax": given(
        """
print(1)
print(1 +)
"""
    ),
    "indentation": given(
        """
if 1:
print(1)
"""
    ),
    "tabs": given("if 1:\n        a = 1\n\tb = 2\n"),
    "unclosed": given("x = (1,\n"),
    "syntax warning": given(
        """
x = 1 is 1
print(x)
"""
    ),
    "warnings": given(
        """
import warnings
warnings.warn('w')
warnings.warn('d', DeprecationWarning)
def f():
    warnings.warn('x', stacklevel=2)
f()
"""
    ),
    "never awaited": given(
        """
async def f(): pass
f()
"""
    ),
    # Sources
    "empty": given("\n"),
    "crlf": given("print(1)\r\nprint(2)\r\n"),
    "no last newline": given("\nprint('x')"),
    "byte order mark": given(b"\xef\xbb\xbfprint('x')\n"),
    "latin-1": given(b"# -*- coding: latin-1 -*-\nprint(ascii('\xe4'))\n"),
    "no utf-8": given(b"\nprint('\xe4')\n"),
    "unknown coding": given(
        """
# coding: klingon
print(1)
"""
    ),
    "names": given(
        """
ä = 'ö'
print(ä, ascii(ä))
"""
    ),
    "future": given(
        """
from __future__ import annotations
def f(x: nothing): pass
print(f.__annotations__)
"""
    ),
    "annotations of a module": given(
        """
x: int = 1
print(__annotations__)
def f(x: int): pass
print(f.__annotations__)
"""
    ),
    # What is left when the script is over
    "atexit": given(
        """
import atexit
@atexit.register
def a(): print('a')
@atexit.register
def b(): print('b')
print('main')
"""
    ),
    "atexit after an exception": given(
        """
import atexit
atexit.register(print, 'end')
1 / 0
"""
    ),
    "atexit that fails": given(
        """
import atexit
@atexit.register
def f():
    1 / 0
"""
    ),
    "atexit that exits": given(
        """
import atexit
@atexit.register
def f():
    raise SystemExit(3)
"""
    ),
    "atexit and file": given(
        """
import atexit
atexit.register(lambda: print('__file__' in globals()))
"""
    ),
    "atexit, file, exit": given(
        """
import atexit, sys
atexit.register(lambda: print('__file__' in globals()))
sys.exit()
"""
    ),
    "del of a global": given(
        """
class A:
    def __del__(self):
        print('del', __name__)
a = A()
print('end')
"""
    ),
    "del in a cycle": given(
        """
class A:
    def __del__(self):
        print('del')
a = A()
a.a = a
print('end')
"""
    ),
    "del of a child module": given(
        """
import types, sys
m = types.ModuleType('m')
sys.modules['m'] = m
class A:
    def __del__(self):
        print('del')
m.a = A()
del m
"""
    ),
    "finalizer": given(
        """
import weakref
class A: pass
a = A()
weakref.finalize(a, print, 'gone')
"""
    ),
    "generator": given(
        """
def g():
    try:
        yield 1
    finally:
        print('closed')
x = g()
next(x)
"""
    ),
    "thread": given(
        """
import threading, time
threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()
print('main')
"""
    ),
    "daemon thread": given(
        """
import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print('main')
"""
    ),
    "timer": given(
        """
import threading
threading.Timer(0.1, print, ['timer']).start()
"""
    ),
    "logging": given(
        """
import logging
logging.basicConfig(level='INFO')
logging.info('x')
logging.getLogger('a').error('y')
"""
    ),
    # Things that a clone could break
    "fork": given(
        """
import os
p = os.fork()
if not p:
    print('child')
else:
    os.wait()
    print('parent')
"""
    ),
    "subprocess": given(
        """
import subprocess, sys
print(subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv)', 'a'], capture_output=True))
"""
    ),
    "shell": given(
        """
import subprocess
print(subprocess.check_output('echo $0 ; cat', shell=True, input=b'x'))
"""
    ),
    "multiprocessing": given(
        """
import multiprocessing
def f(x):
    return x * x
if __name__ == '__main__':
    with multiprocessing.Pool(2) as pool:
        print(pool.map(f, range(5)))
"""
    ),
    "executor": given(
        """
from concurrent.futures import ThreadPoolExecutor as T
with T(2) as pool:
    print(list(pool.map(abs, [-1, 2])))
"""
    ),
    "asyncio": given(
        """
import asyncio
async def main():
    await asyncio.sleep(0.01)
    print('done')
asyncio.run(main())
"""
    ),
    "sqlite3": given(
        """
import sqlite3
c = sqlite3.connect('x.db')
c.execute('create table t (a)')
c.execute('insert into t values (1)')
c.commit()
print(c.execute('select * from t').fetchall())
"""
    ),
    "memory database": given(
        """
import sqlite3
print(sqlite3.connect(':memory:').execute('select 1').fetchone())
"""
    ),
    "temporary": given(
        """
import os, tempfile
with tempfile.NamedTemporaryFile() as f:
    print(os.path.exists(f.name))
print(os.path.exists(f.name))
"""
    ),
    "alarm": given(
        """
import signal
signal.signal(signal.SIGALRM, lambda *a: print('alarm'))
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.pause()
"""
    ),
    "json": given(
        """
import json, collections
print(json.dumps(collections.Counter('abca'), sort_keys=True))
"""
    ),
    "decimal": given(
        """
import decimal
print(decimal.getcontext(), decimal.Decimal(1) / 3)
"""
    ),
    "hash of numbers": given("print(hash(1), hash(1.5), hash((1, 2)))\n"),
    "seeded": given(
        """
import random
random.seed(1)
print(random.random(), random.choice('abc'))
"""
    ),
}
