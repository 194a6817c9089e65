"""Parts of the standard library that lean on the system: sqlite3, ssl, tempfile, locale, zoneinfo, mmap, pwd, hashlib."""
import datetime
import getpass
import hashlib
import locale
import mmap
import os
import pwd
import random
import sqlite3
import ssl
import tempfile
import uuid
import zipfile

with tempfile.TemporaryDirectory() as folder:
    base = sqlite3.connect(os.path.join(folder, "base.db"))
    base.execute("pragma journal_mode=wal")
    with base:
        base.execute("create table words (word text)")
        base.executemany("insert into words values (?)", [("one",), ("two",)])
    print(base.execute("select count(*) from words").fetchone())
    base.close()
    with zipfile.ZipFile(os.path.join(folder, "z.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"a" * 1000)
    with open(os.path.join(folder, "map"), "w+b") as file:
        file.write(bytes(4096))
        file.flush()
        with mmap.mmap(file.fileno(), 4096) as mapped:
            mapped[0] = 7
            print(mapped[0])
print(ssl.create_default_context().verify_mode)
print(locale.setlocale(locale.LC_ALL, "C.UTF-8"))
print(pwd.getpwuid(os.getuid()).pw_uid == os.getuid(), bool(getpass.getuser()))
print(hashlib.sha256(b"x").hexdigest()[:8], len(os.urandom(8)), len(uuid.uuid4().hex), random.Random(1).random())
print(datetime.datetime.now().year >= 2024)
