# Looks for what is none of its business: passwords, home folders, other people's environment, sockets.
# Leaves with 1 if it finds anything.
# expect: ok
import glob
import os
import sys

found = []
for path in (
    "/etc/shadow",
    "/etc/ssh",
    "/root",
    "/home/*/*",
    "/home/*/.*",
    "/run/*",
    "/var/run/*",
    "/var/log/*",
    "/sys/*",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kallsyms",
):
    for name in glob.glob(path):
        try:
            if os.path.isdir(name) and os.listdir(name):
                found.append(name)
            elif os.path.isfile(name) and open(name, "rb").read(100):
                found.append(name)
        except OSError as error:
            print("refused:", name, error.strerror)

for name in ["/proc/self/environ", *glob.glob("/proc/[0-9]*/environ")]:
    try:
        if b"JUDGE_SECRET" in open(name, "rb").read():
            found.append(name)
    except OSError as error:
        print("refused:", name, error.strerror)

outside = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) > 100]
if outside:
    found.append(f"{len(outside)} processes of others")

print("found:", found or "nothing")
sys.exit(bool(found))
