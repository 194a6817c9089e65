# Fills every folder it may write to, one megabyte at a time.
# expect: disk_limit
import itertools
import os
import tempfile

for number in itertools.count():
    folder = ("/work", tempfile.gettempdir(), "/dev/shm")[number % 3]
    with open(os.path.join(folder, f"litter-{number}"), "wb") as litter:
        litter.write(b"x" * (1 << 20))
