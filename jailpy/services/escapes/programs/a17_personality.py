# row = "A17"
# boundary = "the memory protections of the system"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["personality"]
# control = "without"
"""Makes readable pages executable, addresses known, and numbers those of another system."""

from attack import attempt, call

for name, value in (("READ_IMPLIES_EXEC", 0x0400000), ("ADDR_NO_RANDOMIZE", 0x0040000), ("PER_LINUX32", 8)):
    attempt(name, lambda value=value: f"was {call('personality', value):#x}")
