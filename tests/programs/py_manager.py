"""A manager process that serves a dictionary over a Unix socket."""
import multiprocessing


def main():
    with multiprocessing.Manager() as manager:
        shared = manager.dict()
        shared["answer"] = 42
        print(dict(shared))


if __name__ == "__main__":
    main()
