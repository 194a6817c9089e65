"""Threads, a queue between them, a thread pool."""
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

work, done = queue.Queue(), queue.Queue()


def worker():
    while (number := work.get()) is not None:
        done.put(number * number)


threads = [threading.Thread(target=worker) for _ in range(8)]
for thread in threads:
    thread.start()
for number in [*range(100), *[None] * 8]:
    work.put(number)
for thread in threads:
    thread.join()
print(sum(done.get() for _ in range(100)))
with ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(len, ["a", "bb", "ccc"])))
