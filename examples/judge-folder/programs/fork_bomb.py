# Every copy of it makes copies of itself. The first one gives up when it is refused, the others never do.
# expect: process_limit
import os
import sys

first = os.getpid()
while True:
    try:
        os.fork()
    except BlockingIOError as error:
        if os.getpid() == first:
            sys.exit(f"refused: {error}")
