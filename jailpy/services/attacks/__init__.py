"""The attacks of selftest: which layer each one is aimed at, and where its positive control runs. Parent side, plain data.

The attacks themselves are the functions of the same names in `program`, which is no module: it runs in the jail.
"""

from __future__ import annotations

import os

from jailpy.frozen import Frozen

PROGRAM = os.path.join(os.path.dirname(__file__), "program")


class Attack(Frozen):
    """One attack. `name` is its function in `program`; `what` says what it wants.

    `control` is where it must succeed: "outside" of any jail, there as "nobody", in "namespaces" of its own as their
    root, or in a "bare" jail, which has neither filter, Landlock nor cgroup namespace. `call` is the system call that
    the filter must refuse.
    """

    layer: str
    name: str
    what: str
    control: str
    call: str = ""


ATTACKS = (
    Attack("user", "nest_user_namespace", "make a user namespace", "outside"),
    Attack("user", "become_root", "become uid 0", "namespaces"),
    Attack("user", "allow_nesting", "raise user.max_user_namespaces", "namespaces"),
    Attack("mount", "read_host_file", "read a file of the host", "outside"),
    Attack("mount", "write_shown_file", "write to a file that is shown read-only", "outside"),
    Attack("mount", "mount_something", "mount a filesystem", "namespaces"),
    Attack("mount", "execute_copied_program", "execute a program that it wrote", "outside"),
    Attack("mount", "execute_by_loader", "execute it through the loader (ld.so)", "outside"),
    Attack("pid", "find_host_process", "signal a process of the host", "outside"),
    Attack("pid", "read_environments", "read another process's environment", "outside"),
    Attack("net", "connect_to_loopback", "connect to a listener on the host's loopback", "outside"),
    Attack("net", "connect_to_abstract_socket", "connect to an abstract socket of the host", "outside"),
    Attack("ipc", "find_shared_memory", "find System V shared memory of the host", "outside"),
    Attack("uts", "see_host_name", "see the host's name", "outside"),
    Attack("uts", "set_host_name", "change the host name", "namespaces"),
    Attack("cgroup-ns", "see_cgroup_path", "see where its cgroup lies", "bare"),
    Attack("capabilities", "hold_capabilities", "hold a capability in any set", "namespaces"),
    Attack("capabilities", "raise_capabilities", "raise CAP_SYS_ADMIN", "namespaces"),
    Attack("capabilities", "change_root", "chroot", "namespaces"),
    Attack("no-new-privs", "gain_by_flag", "run without no_new_privs", "outside"),
    Attack("no-new-privs", "gain_by_set_uid", "gain rights by a set-uid program", "nobody"),
    Attack("seccomp", "trace", "ptrace", "bare", "ptrace"),
    Attack("seccomp", "hide_flags_in_clone3", "clone3, whose flags a filter cannot see", "bare", "clone3"),
    Attack("seccomp", "use_new_mount_calls", "open_tree, of the new mount calls", "bare", "open_tree"),
    Attack("seccomp", "use_io_uring", "io_uring", "bare", "io_uring_setup"),
    Attack("seccomp", "type_into_terminal", "TIOCSTI", "bare", "ioctl"),
    Attack("seccomp", "type_with_high_bits", "TIOCSTI with high bits set", "bare", "ioctl"),
    Attack("seccomp", "change_personality", "personality READ_IMPLIES_EXEC", "bare", "personality"),
    Attack("seccomp", "use_keyrings", "keyctl", "bare", "keyctl"),
    Attack("landlock", "read_landlock_canary", "read a file outside of the rules", "bare"),
    Attack("apparmor", "keep_label", "run without the jail's AppArmor profile", "bare"),
    Attack("rlimits", "open_many_files", "open more files than limits.open_files", "outside"),
    Attack("rlimits", "write_large_file", "write a file larger than limits.file_size", "outside"),
)
# Without namespaces these layers do what namespaces do elsewhere, and only what is claimed is attacked.
_STAND_INS = (
    Attack("landlock", "read_host_file", "read a file of the host", "outside"),
    Attack("landlock", "list_host_folder", "list a folder of the host", "outside"),
    Attack("landlock", "write_shown_file", "write to a file that is shown read-only", "outside"),
    Attack("landlock", "execute_copied_program", "execute a program that it wrote", "outside"),
    Attack("landlock", "find_host_process", "signal a process of the host", "outside"),
    Attack("landlock", "read_environments", "read another process's environment", "outside"),
    Attack("seccomp", "connect_to_loopback", "connect to a listener on the host's loopback", "outside"),
    Attack("seccomp", "connect_to_abstract_socket", "connect to an abstract socket of the host", "outside"),
    Attack("seccomp", "find_shared_memory", "find System V shared memory of the host", "outside"),
    Attack("seccomp", "nest_user_namespace", "make a user namespace", "outside", "unshare"),
    Attack("seccomp", "leave_process_group", "leave the process group that is killed", "outside"),
    Attack("seccomp", "slow_host_process", "lower the priority of a process of the host", "outside"),
    Attack("seccomp", "open_host_file_to_others", "change the mode of a file of the host", "outside"),
)
_LAYERS_OF_NAMESPACES = ("user", "mount", "pid", "net", "ipc", "uts", "cgroup-ns")
TAKE_MEMORY = Attack("cgroup", "take_memory", "take more memory than limits.memory", "outside")
TAKE_PROCESSES = Attack("cgroup", "take_processes", "have more processes than limits.processes", "outside")


def chosen(plain: bool, root: bool) -> tuple[Attack, ...]:
    """Return the attacks on a jail; on one without namespaces (`plain`) controls run outside, where root has its rights."""
    if not plain:
        return ATTACKS
    controls = {"bare": "outside", "namespaces": "outside" if root else "namespaces"}
    own = [attack for attack in ATTACKS if attack.layer not in _LAYERS_OF_NAMESPACES]
    return (*(attack.replace(control=controls.get(attack.control, attack.control)) for attack in own), *_STAND_INS)


class Answer(Frozen):
    """What the program said of one attack."""

    applies: bool
    refused: bool
    seen: str


def parse(output: bytes, expected: tuple[str, ...]) -> dict[str, Answer]:
    """Return the answers in the program's output, taken as data: what does not have the agreed form is left out."""
    import json

    answers: dict[str, Answer] = {}
    for line in output.split(b"\n"):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and found.get("attack") in expected and _well_formed(found):
            answers.setdefault(found["attack"], Answer(found["applies"], found["refused"], found["seen"][:200]))
    return answers


def _well_formed(found: dict[str, object]) -> bool:
    flags = all(isinstance(found.get(key), bool) for key in ("applies", "refused"))
    return flags and isinstance(found.get("seen"), str)
