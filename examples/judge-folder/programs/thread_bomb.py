# Starts threads until it is refused one.
# expect: process_limit
import os
import threading
import time

started = 0
try:
    while True:
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        started += 1
except RuntimeError as error:
    print(started, "threads, then:", error, flush=True)
os._exit(1)
