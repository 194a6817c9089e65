"""Processes and pools, by fork and by spawn, with a queue, a lock and shared memory."""
import multiprocessing
from multiprocessing import shared_memory


def square(number):
    return number * number


def tell(box, lock, name):
    with lock:
        memory = shared_memory.SharedMemory(name=name)
        memory.buf[0] += 1
        memory.close()
        box.put("told")


def main():
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            print(method, sum(pool.map(square, range(10))))
        box, lock = context.Queue(), context.Lock()
        memory = shared_memory.SharedMemory(create=True, size=1)
        processes = [context.Process(target=tell, args=(box, lock, memory.name)) for _ in range(2)]
        for process in processes:
            process.start()
        print(method, [box.get() for _ in processes])
        for process in processes:
            process.join()
        print(method, memory.buf[0], [process.exitcode for process in processes])
        memory.close()
        memory.unlink()


if __name__ == "__main__":
    main()
