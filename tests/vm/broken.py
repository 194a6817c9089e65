"""Hosts broken on purpose: how each is broken, what doctor must say of it, and what its fix leads to. Data only.

`script` breaks the host, as root. `who` starts JailPy there, a function of `PRELUDE`. `layer` and `cause` are what doctor names.
`mend` says what becomes of the fix: "script" runs doctor's script as root, then `follow` (what the fix tells the person to do
afterwards, such as a new login), and `strict` must start, by `then` if another way in is part of the fix; "advice" means that no
command can do it, and `fix` is in the words. `error` is what exec says, where that is not `cause`. `append` is the kernel's command line.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.vm.machine import SECURITY

# Ways in. Each runs a line of sh: as uid 1000 in a new login session, as uid 1000 in a delegated scope, as uid 1000 without a
# session (cron, sudo -u), as root, or as the system service judge.service, whose settings are in /run/judge.conf.
PRELUDE = """
as_login() { runuser -l lab -c "$1"; }
as_scope() {
    setpriv --reuid 1000 --regid 1000 --init-groups env HOME=/home/lab XDG_RUNTIME_DIR=/run/user/1000 \\
        systemd-run --user --quiet --scope --collect -p Delegate=yes -- sh -c "$1"
}
as_cron() { setpriv --reuid 1000 --regid 1000 --init-groups env -i HOME=/home/lab PATH="$PATH" sh -c "$1"; }
as_root() { sh -c "$1"; }
as_judge() {
    printf '%s\\n' "$1" >/run/judge.sh
    : >/run/judge.out >/run/judge.err
    chmod 666 /run/judge.*
    systemctl start judge.service 2>/dev/null
    cat /run/judge.out
    cat /run/judge.err >&2
    return "$(systemctl show -p ExecMainStatus --value judge.service)"
}
judge() {
    id judge >/dev/null 2>&1 || useradd --create-home judge
    {
        printf '[Service]\\nType=oneshot\\nUser=judge\\nEnvironment=HOME=/home/judge\\nDelegate=yes\\n'
        printf 'ExecStart=/bin/sh -c "sh /run/judge.sh >/run/judge.out 2>/run/judge.err"\\n'
        printf '%s\\n' "$@"
    } >/etc/systemd/system/judge.service
    systemctl daemon-reload
}
left() {
    find /sys/fs/cgroup -type d -name 'jailpy-*-*'
    grep jailpy /proc/self/mountinfo
    pgrep -a -f '^[^ ]*python[^ ]* [^ ]*jailpy exec'
    systemctl --user -M lab@ list-units --no-legend 'jailpy-*' 2>/dev/null
    true
}
"""
DELEGATED = "DelegateSubgroup=main"  # systemd 254
SERVICES = ("trixie", "trixie-bpo")
REFUSING = """
cat >/run/refusing.py <<'X'
import os, sys, pyseccomp
building = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
{rules}
building.load()
os.execv("/bin/sh", ["sh", "-c", sys.argv[1]])
X
as_refused() {{ runuser -l lab -c "python3 /run/refusing.py \\"$1\\""; }}
"""
SHUT = """
for name in ("unshare", "mount", "setns", "pivot_root", "umount2"):
    building.add_rule(pyseccomp.ERRNO(1), name)
building.add_rule(pyseccomp.ERRNO(38), 435)
building.add_rule(pyseccomp.ERRNO(1), "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, 0x10000000, 0x10000000))"""
NO_LISTENER = """
building.add_rule(pyseccomp.ERRNO(22), "seccomp", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 8, 8))"""


@dataclass(frozen=True)
class Broken:
    """One broken host."""

    name: str
    script: str
    layer: str
    cause: str
    who: str = "login"
    mend: str = "script"
    fix: str = ""
    error: str = ""
    follow: str = ""
    then: str = ""
    append: str = SECURITY
    guests: tuple[str, ...] = ()


def none_left(name: str, layer: str, *guests: str) -> Broken:
    """Make a host where no namespace of a kind may be made, by a file that an administrator left."""
    broken = f"echo 'user.{name} = 0' >/etc/sysctl.d/99-hardening.conf; systemctl restart systemd-sysctl"
    return Broken(name, broken, layer, f"user.{name} = 0 forbids it", follow="systemctl restart systemd-sysctl", guests=guests)


NEW_SESSION = "systemctl restart user@1000"
BROKEN = (
    none_left("max_user_namespaces", "user"),
    none_left("max_mnt_namespaces", "mount", "trixie"),
    none_left("max_pid_namespaces", "pid"),
    none_left("max_net_namespaces", "net"),
    none_left("max_ipc_namespaces", "ipc", "trixie"),
    none_left("max_uts_namespaces", "uts", "trixie"),
    none_left("max_cgroup_namespaces", "cgroup-ns", "trixie"),
    Broken(
        "unprivileged_userns_clone",
        "echo kernel.unprivileged_userns_clone = 0 >/etc/sysctl.d/99-hardening.conf; systemctl restart systemd-sysctl",
        "user",
        "kernel.unprivileged_userns_clone = 0 keeps user namespaces for root",
        follow="systemctl restart systemd-sysctl",
    ),
    Broken(
        "controllers_not_delegated",
        "mkdir -p /etc/systemd/system/user@.service.d /etc/systemd/system.conf.d; "
        "printf '[Manager]\\nDefaultMemoryAccounting=no\\n' >/etc/systemd/system.conf.d/tight.conf; "
        "printf '[Service]\\nDelegate=\\nDelegate=pids\\n' >/etc/systemd/system/user@.service.d/50-tight.conf; "
        f"systemctl daemon-reexec; {NEW_SESSION}",
        "cgroup",
        "systemd does not delegate the memory controller to user sessions",
        follow=NEW_SESSION,
    ),
    Broken(
        "no_user_manager",
        "loginctl disable-linger lab; systemctl stop user@1000.service",
        "cgroup",
        "no systemd user session runs for uid 1000",
        who="cron",
    ),
    Broken(
        "no_bus",
        "systemctl --user -M lab@ stop dbus.socket dbus.service; rm -f /run/user/1000/bus",
        "cgroup",
        "the systemd user session of uid 1000 has no D-Bus socket /run/user/1000/bus",
        mend="advice",
        fix="dbus-user-session",
    ),
    Broken(
        "occupied_by_its_caller",
        "judge",
        "cgroup",
        "other processes occupy /sys/fs/cgroup/system.slice/judge.service, the delegated group",
        who="judge",
        guests=SERVICES,
    ),
    Broken(
        "service_without_namespaces",
        f"judge {DELEGATED} RestrictNamespaces=yes",
        "user",
        "the system-call filter of judge.service refuses namespaces",
        who="judge",
        guests=SERVICES,
    ),
    Broken(
        "service_without_mounts",
        f"judge {DELEGATED} SystemCallFilter=~@mount SystemCallErrorNumber=EPERM",
        "mount",
        "the system-call filter of judge.service refuses mounts",
        who="judge",
        guests=SERVICES,
    ),
    Broken(
        "service_that_kills",
        f"judge {DELEGATED} SystemCallFilter=~@mount",
        "mount",
        "the system-call filter of judge.service refuses mounts",
        who="judge",
        error="the system-call filter of judge.service kills what makes a jail",
        guests=SERVICES,
    ),
    Broken(
        "service_with_masked_proc",
        f"judge {DELEGATED} ProtectKernelTunables=yes",
        "mount",
        "/proc is masked around this process",
        who="judge",
        guests=SERVICES,
    ),
    Broken(
        "service_with_read_only_cgroups",
        f"judge {DELEGATED} ProtectControlGroups=yes",
        "cgroup",
        "cgroups are mounted read-only here",
        who="judge",
        guests=SERVICES,
    ),
    Broken("proc_masked", "mount -t tmpfs none /proc/irq", "mount", "/proc is masked around this process (/proc/irq)"),
    Broken(
        "proc_sys_read_only",
        "mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys",
        "mount",
        "/proc is masked around this process (/proc/sys)",
    ),
    Broken(
        "cgroups_read_only",
        "mount --bind /sys/fs/cgroup /sys/fs/cgroup; mount -o remount,bind,ro /sys/fs/cgroup",
        "cgroup",
        "cgroups are mounted read-only here",
        guests=SERVICES,  # systemd 252 keeps each login there waiting for two minutes
    ),
    Broken(
        "cgroup_version_1",
        "true",
        "cgroup",
        "this host has cgroup version 1, and no folder jailpy-1000 that belongs to this account",
        append=f"{SECURITY} systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
        guests=("bookworm",),
    ),
    Broken(
        "landlock_off",
        "true",
        "landlock",
        "Landlock is built into this kernel and not switched on at boot (lsm=)",
        mend="advice",
        fix="lsm=landlock,lockdown,yama,apparmor",
        append="lsm=lockdown,yama,apparmor",
    ),
    Broken(
        "no_memory_controller",
        "true",
        "cgroup",
        "the memory controller is switched off on this kernel",
        mend="advice",
        fix="take cgroup_disable=memory off the kernel's command line and reboot",
        append=f"{SECURITY} cgroup_disable=memory",
    ),
    Broken(
        "container_filter",
        REFUSING.format(rules=SHUT),
        "user",
        "a system-call filter around this process refuses namespaces",
        who="refused",
        mend="advice",
        fix="start JailPy outside of the sandbox that loaded the filter",
        then="login",
    ),
    Broken(
        "no_seccomp_notification",
        REFUSING.format(rules=NO_LISTENER),
        "seccomp",
        "a system-call filter around this process refuses further filters",
        who="refused",
        mend="advice",
        fix="start JailPy outside of the sandbox that loaded the filter",
        then="login",
    ),
    Broken(
        "no_libseccomp",
        "mv /usr/lib/x86_64-linux-gnu/libseccomp.so.2* /root/; ldconfig",
        "seccomp",
        "libseccomp.so.2 is missing",
        mend="advice",
        fix="apt-get install -y libseccomp2",
        follow="mv /root/libseccomp.so.2* /usr/lib/x86_64-linux-gnu/; ldconfig",
        then="login",
    ),
    Broken(
        "no_pyseccomp",
        "mv /usr/local/lib/python3.*/dist-packages/pyseccomp.py /root/",
        "seccomp",
        "pyseccomp is missing",
        mend="advice",
        fix="-m pip install pyseccomp",
        follow="mv /root/pyseccomp.py /usr/local/lib/python3.*/dist-packages/",
        then="login",
    ),
    Broken(
        "chroot",
        "mkdir /srv/root; cd /srv/root; ln -s usr/bin usr/sbin usr/lib usr/lib64 .; "
        "for name in usr etc proc dev sys tmp run home; do mkdir $name; mount --rbind /$name $name; done; cd /run/case; "
        'as_chroot() { chroot --userspec=1000:1000 /srv/root sh -c "$1"; }',
        "user",
        "this process is in a chroot, where user namespaces are refused",
        who="chroot",
        mend="advice",
        fix="outside",
    ),
)

# Hosts that look as if they could not, and can.
WHOLE = {
    "cache not writable": "mkdir -p /home/lab/.cache; chown root: /home/lab /home/lab/.cache; chmod 755 /home/lab",
    "no home": "mv /home/lab /home/gone",
    "hidepid": "mount -o remount,hidepid=2 /proc",
    "noexec /tmp and /home": "mount -t tmpfs -o noexec,mode=1777 none /tmp; mount -t tmpfs -o noexec,uid=1000 none /home/lab",
    "ptrace_scope 2": "sysctl -w kernel.yama.ptrace_scope=2",
    "memfd_noexec": "sysctl -w vm.memfd_noexec=1 || true",
}
