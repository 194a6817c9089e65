# row = "A18"
# boundary = "kernel services that no payload needs"
# ending = "ok"
# layers = ["seccomp"]
# control = "outside"
# root_only = ["userfaultfd", "perf_event_open", "bpf", "kexec_load", "init_module", "finit_module", "delete_module",
#              "open_by_handle_at", "quotactl", "swapon", "swapoff", "acct", "reboot", "settimeofday", "adjtimex", "clock_settime",
#              "iopl", "ioperm", "syslog", "vhangup", "pivot_root", "mount", "umount2", "sethostname", "setns", "lookup_dcookie"]
# [unproven]
# finit_module = "a kernel without modules"
# init_module = "a kernel without modules"
# delete_module = "a kernel without modules"
# kexec_load = "a kernel without kexec"
# quotactl = "a kernel without quotas"
# acct = "a kernel without process accounting"
# lookup_dcookie = "gone from Linux 6.7 on"
# iopl = "x86-64 has it"
# ioperm = "x86-64 has it"
# modify_ldt = "a kernel without 16-bit segments"
# userfaultfd = "a kernel without it"
# memfd_secret = "a kernel without it"
# swapon = "a kernel without swap"
# swapoff = "a kernel without swap"
"""Calls, with arguments that make no sense, what only tools of an administrator or of kernel developers use."""

from attack import NUMBERS, attempt, reaches

for name in (
    "userfaultfd", "perf_event_open", "bpf", "keyctl", "add_key", "request_key", "kexec_load", "init_module", "finit_module",
    "delete_module", "open_by_handle_at", "name_to_handle_at", "quotactl", "swapon", "swapoff", "acct", "reboot", "settimeofday",
    "adjtimex", "clock_settime", "iopl", "ioperm", "modify_ldt", "syslog", "pivot_root", "mount", "umount2", "sethostname",
    "setns", "lookup_dcookie", "memfd_secret",
):  # fmt: skip
    if int(NUMBERS[name]) >= 0:
        attempt(name, reaches, name, -1, -1, -1, -1, -1, -1)
