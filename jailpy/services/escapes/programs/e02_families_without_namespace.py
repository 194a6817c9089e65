# row = "E2"
# boundary = "address families that know no network namespace"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["socket"]
# control = "without"
# [unproven]
# AF_VSOCK = "a kernel without it"
# AF_ALG = "a kernel without it"
# AF_BLUETOOTH = "a kernel without it"
# AF_NFC = "a kernel without it"
# AF_PPPOX = "a kernel without it"
# AF_CAN = "a kernel without it"
# AF_TIPC = "a kernel without it"
# AF_XDP = "a kernel without it"
# AF_KCM = "a kernel without it"
# AF_SMC = "a kernel without it"
"""Makes sockets to the hypervisor, the kernel's ciphers and its odder protocols."""

import socket

from attack import attempt

for name, family, kind, protocol in (
    ("AF_VSOCK", 40, 1, 0), ("AF_ALG", 38, 5, 0), ("AF_NETLINK", 16, 3, 0), ("AF_BLUETOOTH", 31, 5, 0), ("AF_NFC", 39, 1, 0),
    ("AF_PPPOX", 24, 2, 0), ("AF_CAN", 29, 3, 1), ("AF_TIPC", 30, 5, 0), ("AF_XDP", 44, 3, 0), ("AF_KCM", 41, 2, 0),
    ("AF_SMC", 43, 1, 0),
):  # fmt: skip
    attempt(name, lambda *words: str(socket.socket(*words)), family, kind, protocol)
