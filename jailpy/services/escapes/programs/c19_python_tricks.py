# row = "C19"
# boundary = "files of the host, by what escapes Python's own sandboxes"
# ending = "ok"
# layers = ["mount", "landlock"]
# control = "outside"
"""Goes from an empty tuple to the functions of the system, as in a sandbox made of Python, and reads a file of the host."""

from attack import FACTS, attempt

builtins = next(
    kind.__init__.__globals__["__builtins__"]
    for kind in ().__class__.__base__.__subclasses__()
    if hasattr(kind.__init__, "__globals__") and "__builtins__" in kind.__init__.__globals__
)
attempt("open", lambda: builtins["open"](FACTS["canary"]).read())
attempt("libc", lambda: builtins["__import__"]("attack").call("openat", -100, FACTS["canary"].encode(), 0))
