# row = "A8"
# boundary = "no call that the profile does not name"
# ending = "ok"
# layers = ["seccomp"]
# control = "without"
"""Makes every call newer than the policies of older jails, named or not, but for those that the profile allows."""

import errno

from attack import FACTS, attempt, reaches

allowed = set(map(int, FACTS["allowed"].split()))


def any_of(numbers):
    reached = []
    for number in numbers:
        try:
            reaches(number, -1, -1, -1, -1, -1, -1)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOSYS):
                continue
        reached.append(number)
    if not reached:
        raise OSError(errno.ENOSYS, "")
    return f"reached {reached}"


attempt("440 to 1023", any_of, [number for number in range(440, 1024) if number not in allowed])
