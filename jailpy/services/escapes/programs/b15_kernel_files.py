# row = "B15"
# boundary = "settings and memory of the kernel"
# ending = "ok"
# layers = ["mount", "user", "landlock"]
# control = "outside"
# root_only = ["write /proc/sys/kernel/hostname", "write /proc/sys/vm/overcommit_memory", "write /proc/sysrq-trigger",
#              "read /proc/kcore", "read /proc/kmsg", "write /proc/sys/kernel/core_pattern", "write /proc/irq/default_smp_affinity"]
# [unproven]
# "read /proc/kcore" = "locked down kernels have none"
# "read /proc/timer_list" = "for root alone on some kernels"
# "read /proc/keys" = "a kernel without keyrings"
# "read /sys/firmware" = "no firmware tables in some virtual machines"
# "read /sys/kernel/debug" = "not mounted, or root's alone"
# "read /proc/kallsyms" = "a kernel without symbols"
# "read /proc/config.gz" = "a kernel without its configuration"
# "read /proc/kpagecount" = "root's alone"
# "write /proc/irq/default_smp_affinity" = "one processor"
# "write /proc/sysrq-trigger" = "covered in containers"
"""Opens files of /proc and /sys that set or tell too much. None is written to."""

import os

from attack import attempt, opens

for path in (
    "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity",
):  # fmt: skip
    attempt(f"write {path}", opens, path, os.O_WRONLY)
for path in (
    "/proc/kcore", "/proc/kmsg", "/proc/keys", "/proc/timer_list", "/proc/kallsyms", "/proc/config.gz", "/proc/kpagecount",
    "/sys/firmware", "/sys/kernel", "/sys/kernel/debug", "/sys/class/net",
):  # fmt: skip
    attempt(
        f"read {path}",
        lambda path=path: (
            f"{len(os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 1))} byte"
            if os.path.isfile(path) and os.stat("/dev/null").st_rdev != os.stat(path).st_rdev
            else os.listdir(path)
        ),
    )
