"""What to do about a failure: a failed step or trial -> the one likely cause and the smallest fix.

Parent side. Looks at /proc and /sys, and makes no kernel call but an unshare(2) of nothing; doctor and the errors of a
launch say the same words. For cgroups see jailpy/host/delegation.py.
"""

from __future__ import annotations

import errno
import os

from jailpy.host import apparmor, surroundings
from jailpy.host.fixes import Fix, Remedy, advice, quoted, run, sysctl, write

_REFUSED = (errno.EPERM, errno.EACCES)
_WITHOUT_PROC = "or do without /proc in the jail, by the tier: --set require.tiers=no-proc; or --set filesystem.proc=none"
_MEANT_FOR_MOUNTS = ("/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/openprom")  # always empty: they mask nothing
_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_DEBIAN = "/proc/sys/kernel/unprivileged_userns_clone"
_MOST = "/proc/sys/user/max_user_namespaces"
_PACKAGES = {
    "debian": "apt-get install -y libseccomp2",
    "ubuntu": "apt-get install -y libseccomp2",
    "fedora": "dnf install -y libseccomp",
    "rhel": "dnf install -y libseccomp",
    "suse": "zypper --non-interactive install libseccomp2",
    "opensuse": "zypper --non-interactive install libseccomp2",
    "arch": "pacman -S --noconfirm libseccomp",
    "alpine": "apk add libseccomp",
    "gentoo": "emerge sys-libs/libseccomp",
    "void": "xbps-install -y libseccomp",
}
_OPENED = {
    "jailpy": "this is a jail of JailPy's, and jails do not nest: start it outside",
    "docker": "start the container with: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined",
    "podman": "start the container with: podman run --security-opt seccomp=unconfined --security-opt unmask=ALL "
    "--security-opt label=disable",
    "kubernetes": "in the pod: hostUsers: false; in the container's securityContext: seccompProfile: {type: Unconfined}, "
    "appArmorProfile: {type: Unconfined}, procMount: Unmasked",
    "flatpak": "start JailPy outside of the flatpak: flatpak-spawn --host jailpy ...",
    "lxc": "on the host: lxc config set NAME security.nesting true, then restart the container",
}
_WHOSE = {
    "jailpy": "the filter of the JailPy jail around this process",
    **{name: f"the system-call filter of this {name} container" for name in ("docker", "podman", "kubernetes", "lxc")},
    "flatpak": "the filter of this flatpak",
}
_OUTSIDE = "start JailPy outside of it"
_GENERIC = "start JailPy outside of the sandbox that loaded the filter, or let it allow namespaces and mounts"


def no_user_namespace(number: int) -> Remedy:
    """Tell why a user namespace could not be made, from the errno and what the host shows. See user_namespaces(7)."""
    if number == errno.ENOSPC:
        return too_many(_none_left())
    if _filter_refuses():
        return behind_filter("namespaces")
    if surroundings.text(_MOST) == "0":
        return too_many()
    if number == errno.EINVAL or not surroundings.exists("/proc/self/ns/user"):
        return Remedy("this kernel has no user namespaces", (advice("use a kernel with CONFIG_USER_NS"),))
    if number == errno.ENOSYS:
        return behind_filter("namespaces") if surroundings.filtered() else old_kernel()
    if surroundings.text(_DEBIAN) == "0" and os.geteuid() != 0:
        fix = sysctl("kernel.unprivileged_userns_clone", 1)
        return Remedy("kernel.unprivileged_userns_clone = 0 keeps user namespaces for root", (fix,))
    if surroundings.chrooted():
        return Remedy("this process is in a chroot, where user namespaces are refused", (advice(_OUTSIDE),))
    return no_rights("namespaces")


def _none_left() -> str:
    """Name the sysctl that forbids a kind of namespace; the one for user namespaces where none of them is 0."""
    names = [f"user.max_{kind}_namespaces" for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")]
    return next((name for name in names if surroundings.text("/proc/sys/" + name.replace(".", "/")) == "0"), names[0])


def no_rights(what: str = "mounts") -> Remedy:
    """Tell why a user namespace gives no rights, or is refused by a security module. `what` a filter would refuse."""
    profile = surroundings.label()
    if profile:
        return Remedy(f"the AppArmor profile {profile} confines this process", (_out_of_profile(),))
    if surroundings.text(_APPARMOR) == "1" and os.geteuid() != 0:
        return _ubuntu()
    if surroundings.filtered():
        return behind_filter(what)
    if surroundings.selinux():
        allow = "ausearch -m avc -ts recent | audit2allow -M jailpy && semodule -i jailpy.pp"
        return Remedy("SELinux refuses it", (run(allow),))
    fix = f"look for the denial: {surroundings.sudo()}journalctl -k -g denied"
    return Remedy("a security module of this host refuses it, or a chroot around this process", (advice(fix),))


def opened() -> Fix:
    """Say how what this process runs inside is opened, or that JailPy must be started outside of it."""
    return advice(_OPENED.get(surroundings.container(), _OUTSIDE))


def _out_of_profile() -> Fix:
    """Say how the launcher gets out of a profile around it."""
    script = surroundings.start_script()
    if surroundings.container() or not script:
        return opened()
    own = f"{surroundings.sudo()}{script} apparmor install --launcher"
    return advice(f"{_OUTSIDE}; or let that profile start it in its own, by the rule `{script} px,` and: {own}")


def _filter_refuses() -> bool:
    from jailpy.kernel import process

    try:
        process.unshare(0)  # asks the kernel for nothing: only a filter refuses it
    except OSError:
        return True
    return False


def behind_filter(what: str, does: str = "refuses") -> Remedy:
    """Name the system-call filter around this process, and how it is opened."""
    where = surroundings.container()
    if where == "service":
        unit = surroundings.unit()
        fix = service_drop_in(unit, ("RestrictNamespaces=no", "SystemCallFilter="))
        return Remedy(f"the system-call filter of {unit} {does} {what}", (fix,))
    whose = _WHOSE.get(where, "a system-call filter around this process")
    return Remedy(f"{whose} {does} {what}", (advice(_OPENED.get(where, _GENERIC)),))


def service_drop_in(unit: str, settings: tuple[str, ...]) -> Fix:
    """Change settings of a systemd service in a file of their own (systemd.unit(5))."""
    path = f"/etc/systemd/system/{unit}.d/jailpy.conf"
    return write(path, ("[Service]", *settings), "systemctl daemon-reload", f"then: systemctl restart {quoted(unit)}")


def too_many(name: str = "user.max_user_namespaces") -> Remedy:
    """Tell why a namespace was refused with ENOSPC: the sysctl that counts its kind (namespaces(7))."""
    most = surroundings.text("/proc/sys/" + name.replace(".", "/"))
    if most not in ("", "0"):
        return Remedy(f"all {most} namespaces that {name} allows are taken", (sysctl(name, int(most) * 2),))
    if surroundings.nested():
        inside = surroundings.container() == "jailpy"
        return Remedy(f"{name} = 0 in the user namespace around this process", (opened() if inside else advice(_OUTSIDE),))
    return Remedy(f"{name} = 0 forbids it", (sysctl(name, 10000),))


def _ubuntu() -> Remedy:
    """Ubuntu 23.10 and later: the namespace is made and its rights are taken away."""
    switch = "kernel.apparmor_restrict_unprivileged_userns = 1"
    cause = f"{switch}: AppArmor takes a user namespace's rights from every program without a profile that allows them"
    script = surroundings.start_script()
    if not script:
        fix = "start JailPy by its start script (made by pip install): a profile for the interpreter fits every Python program"
        return Remedy(cause, (advice(fix),))
    if not surroundings.started_by_script():
        cause += f", and python -m jailpy is such a program whatever {script} has"
    return Remedy(cause, (apparmor_profile(script),))


def apparmor_profile(path: str) -> Fix:
    """Install a profile which only allows a program to make user namespaces."""
    file = apparmor.file_of(apparmor.LAUNCHER)
    return write(file, apparmor.launcher_profile(path), f"apparmor_parser -r {file}", " ".join(apparmor.worth(path)))


def masked_proc() -> Remedy:
    """Tell what covers parts of /proc: a new procfs is refused where the one outside is not wholly visible."""
    points = [surroundings.unescaped(line.split()[4]) for line in surroundings.text("/proc/self/mountinfo").splitlines()]
    covers = [point for point in points if point.startswith("/proc/") and point not in _MEANT_FOR_MOUNTS]
    if not covers:
        return no_rights()
    named = ", ".join(covers[:3]) + (", ..." if len(covers) > 3 else "")
    fix = (*_uncovered(covers), advice(_WITHOUT_PROC))
    return Remedy(f"/proc is masked around this process ({named}), so no new one may be mounted", fix)


def _uncovered(covers: list[str]) -> tuple[Fix, ...]:
    options = {"docker": "docker run --security-opt systempaths=unconfined", "podman": "podman run --security-opt unmask=ALL"}
    where = surroundings.container()
    if where in options:
        return (advice(f"start the container with: {options[where]}"),)
    if where == "service" and surroundings.own_mounts():
        settings = ("ProtectKernelTunables=no", "ProtectKernelLogs=no", "ProtectProc=default")
        return (service_drop_in(surroundings.unit(), settings),)
    if where not in ("", "service") or surroundings.nested():
        return (opened(),)
    return tuple(run(f"umount {quoted(path)}", when=f"mountpoint -q {quoted(path)}") for path in reversed(covers))


def landlock(version: int, number: int) -> Remedy:
    """Tell why Landlock is missing or too old: `version` is its ABI, `number` the errno where it has none."""
    if version:
        return Remedy(f"{surroundings.kernel()} has Landlock ABI {version}; 2 is needed", (advice("use Linux 5.19 or newer"),))
    if number == errno.EOPNOTSUPP:
        return Remedy("Landlock is built into this kernel and not switched on at boot (lsm=)", (_boot_with_landlock(),))
    if surroundings.release() < (5, 19):
        return Remedy(f"{surroundings.kernel()} is too old for Landlock ABI 2", (advice("use Linux 5.19 or newer"),))
    if surroundings.filtered():
        return behind_filter("Landlock")
    return Remedy("this kernel was built without Landlock", (advice("use a kernel with CONFIG_SECURITY_LANDLOCK"),))


def _boot_with_landlock() -> Fix:
    present = surroundings.text("/sys/kernel/security/lsm") or "yama,apparmor,bpf"
    names = ",".join(name for name in present.split(",") if name != "capability")
    argument, then = f"lsm=landlock,{names}", "then reboot"
    if surroundings.exists("/usr/sbin/grubby"):
        return run(f"grubby --update-kernel=ALL --args={quoted(argument)}", then)
    if surroundings.exists("/usr/sbin/update-grub"):
        line = f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {argument}"'
        return write("/etc/default/grub.d/zz-jailpy.cfg", (line,), "update-grub", then)
    return advice(f"add {argument} to the kernel's command line and reboot")


def notification(number: int) -> Remedy:
    """Tell why a filter with notifications to the supervisor was refused. See seccomp_unotify(2)."""
    if number == errno.EBUSY:
        cause = "a sandbox around this process already answers its system calls, and there can be one only"
        return Remedy(cause, (opened(),))
    if number == errno.ETOOMANYREFS:
        cause = "sockets of this account hold more descriptors than the launcher may have open (unix(7))"
        return Remedy(cause, (advice("raise the launcher's limit of open files (ulimit -n), or end what holds them"),))
    if surroundings.filtered() and (number in (*_REFUSED, errno.ENOSYS) or surroundings.release() >= (5, 5)):
        return behind_filter("further filters")
    fix = "use Linux 5.5 or newer, with CONFIG_SECCOMP_FILTER"
    return Remedy(f"{surroundings.kernel()} has no seccomp user notification", (advice(fix),))


def libseccomp() -> Remedy:
    """Name the package that brings libseccomp here."""
    command = next((_PACKAGES[name] for name in surroundings.distribution() if name in _PACKAGES), "")
    fix = run(command) if command else advice("install the package libseccomp (2.5 or newer) of this distribution")
    return Remedy("libseccomp.so.2 is missing: no filter can be made", (fix,))


def old_kernel() -> Remedy:
    """Name the kernel that is needed, or the filter that hides a newer one's calls."""
    if surroundings.filtered():
        return behind_filter("newer system calls")
    return Remedy(f"{surroundings.kernel()} is too old", (advice("use Linux 5.12 or newer; 5.19 for every layer"),))


_CREATING = ("CloneNamespaces", "MapIds")
_NEEDS_RIGHTS = (
    "BecomeUser", "SetHostname", "LoopbackUp", "CutPropagation", "OpenSource", "NewTmpfs", "EnterRoot", "NewOverlay",
    "NewDevpts", "Attach", "TakeFolder", "BindReadOnly", "Mask", "SetAttributes", "ChangeRoot", "NewCgroupNamespace",
    "ForbidUserNamespaces", "DropCapabilities", "MapSource",
)  # fmt: skip
_LINK = "what is copied in before it has a link on the way there, which would lead out of the jail: choose another destination"
_KNOWN: dict[tuple[str, int], str] = {
    ("CloneNamespaces", errno.EAGAIN): "this account's processes are at their limit: ulimit -u, or pids.max of its cgroup",
    ("CloneNamespaces", errno.EBUSY): "the cgroup's parent holds processes of its own: see jailpy doctor",
    ("CopyTree", errno.ENOSPC): "it does not fit the jail's disk limit: raise --disk",
    ("MakeFile", errno.ENOSPC): "it does not fit the jail's disk limit: raise --disk",
    ("CopyIn", errno.ENOSPC): "it does not fit the jail's disk limit: raise --disk",
    ("CopyTree", errno.ELOOP): _LINK,
    ("CopyIn", errno.ELOOP): _LINK,
    ("CopyTree", errno.EACCES): "this account may not read all of it",
    ("CopyTree", errno.ENAMETOOLONG): "it has folders more than 200 deep",
    ("MapSource", errno.EOPNOTSUPP): "show a folder of another filesystem, or --put and --get in place of --rw",
    ("OpenSource", errno.EACCES): "this account may not read it",
    ("OpenSource", errno.ENOENT): "it was there when the plan was made and is gone now",
    ("OpenSource", errno.EINVAL): "it lies on a mount that may not be copied (unbindable, or another namespace's)",
    ("NewOverlay", errno.ENODEV): "this kernel has no overlayfs loaded: modprobe overlay, or use --put in place of --cow",
    ("NewOverlay", errno.EINVAL): "overlayfs cannot use its filesystem, or it has mounts below it: --put in place of --cow",
    ("SetCgroupLimit", errno.ENOTRECOVERABLE): "not kept: a group around it is tighter, or others write there too",
    ("SetCgroupLimit", errno.ENOENT): "swap is active here and not accounted: boot with swapaccount=1, or switch swap off",
    ("RestrictLandlock", errno.E2BIG): "sixteen Landlock rulesets are on this process already: start JailPy outside of them",
    ("RestrictLandlock", errno.ENOTRECOVERABLE): "Landlock does not act on this kernel although it is there: see jailpy doctor",
    ("ApparmorOnExec", errno.ENOENT): "the AppArmor profile is not loaded: jailpy apparmor install, or apparmor_parser -r",
    ("ApparmorOnExec", errno.EACCES): "the AppArmor profile around JailPy forbids stacking: start it outside of that one",
    ("OpenTerminal", errno.ENOSPC): "all pseudo-terminals of this host are taken: kernel.pty.max",
    ("EnterScope", errno.ETIMEDOUT): "the systemd that should make it hangs: systemctl --user status (root: systemctl status)",
    ("EnterScope", errno.EACCES): "what systemd says to it: journalctl --user -n 20 (root: journalctl -n 20)",
    ("EnterScope", errno.ECONNREFUSED): "nobody listens there: systemctl --user restart dbus.socket (root: without --user)",
    ("EnterScope", errno.ENOENT): "no systemd user manager runs for this account: loginctl enable-linger",
    ("EnterScope", errno.EOPNOTSUPP): "another systemd answered than the one whose groups are here",
    ("EnterLeaf", errno.EBUSY): "other processes came into its group: start JailPy alone in one, or set DelegateSubgroup=",
    ("EnableControllers", errno.EBUSY): "processes came into that group: start them in a group below it (DelegateSubgroup=)",
    ("EnterLeaf", errno.EAGAIN): "a group around it allows no more: cgroup.max.descendants, cgroup.max.depth",
    ("MakeCgroup", errno.EAGAIN): "a group around it allows no more: cgroup.max.descendants, cgroup.max.depth",
    ("MakeCgroup", errno.EROFS): "cgroups are mounted read-only here: see jailpy doctor",
    ("MakeCgroup", errno.ENOENT): "the delegated group is gone: the unit that it belonged to has ended",
    ("SetCgroupLimit", errno.EOPNOTSUPP): "the controller was there when the plan was made and was taken away since",
    ("SetRlimit", errno.EPERM): "the caller's hard limit is lower: ulimit -H",
}  # fmt: skip


def for_step(step: str, number: int) -> list[str]:
    """Return hints for a step's class name and errno; an empty list where nothing better than the errno is known."""
    if (step, number) in _KNOWN:
        return [_KNOWN[step, number]]
    found = _remedy(step, number)
    if found:
        return [found.cause, *found.hints()]
    if number == errno.ELOOP:
        return ["a part of the path is a symbolic link now: name what it points to"]
    if step == "ChangeFolder":
        return ["the working directory must exist in the jail: show a folder there, or leave --workdir out"]
    if step in ("MakeCgroup", "SetCgroupLimit", "JoinCgroup", "EnterScope", "EnterLeaf", "EnableControllers"):
        return ["see jailpy doctor for the cgroups of this account"]
    return []


def _remedy(step: str, number: int) -> Remedy | None:
    if step in _CREATING and number in (*_REFUSED, errno.ENOSPC, errno.EUSERS, errno.EINVAL, errno.ENOSYS):
        return no_user_namespace(number)
    if step == "NewCgroupNamespace" and number == errno.ENOSPC:
        return too_many("user.max_cgroup_namespaces")
    if step == "NewProc" and number in _REFUSED:
        return masked_proc()
    if step in _NEEDS_RIGHTS and number in _REFUSED:
        return no_rights()
    if step == "LoadFilter":
        return notification(number)
    if step == "RestrictLandlock" and number in (errno.EOPNOTSUPP, errno.ENOSYS):
        return landlock(0, number)
    return old_kernel() if number == errno.ENOSYS else None
