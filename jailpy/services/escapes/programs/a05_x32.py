# row = "A5"
# boundary = "the filter, by the numbers of another ABI"
# ending = "security_violation"
# layers = ["seccomp"]
# control = "without"
# machines = ["x86_64"]
"""getpid with the bit of x32."""

import errno

from attack import attempt, call


def number_with_the_bit():
    try:
        return f"answered {call(0x40000000 + 39)}"
    except OSError as error:
        return f"the kernel looked at it: {errno.errorcode[error.errno]}"


attempt("x32", number_with_the_bit)
