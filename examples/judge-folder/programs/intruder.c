/* Asks the kernel for the calls that escapes are made of. Leaves with the number of those that were granted.
 * expect: ok */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int granted;

static void attempt(const char *what, long result)
{
    printf("%-32s %s\n", what, result < 0 ? strerror(errno) : "GRANTED");
    granted += result >= 0;
}

int main(void)
{
    attempt("ptrace init", ptrace(PTRACE_ATTACH, 1, 0, 0));
    attempt("mount a tmpfs", mount("none", "/tmp", "tmpfs", 0, 0));
    attempt("remount / writable", mount(0, "/", 0, MS_REMOUNT | MS_BIND, 0));
    attempt("unmount /usr", umount2("/usr", MNT_DETACH));
    attempt("a user namespace", unshare(CLONE_NEWUSER));
    attempt("a mount namespace", unshare(CLONE_NEWNS));
    attempt("clone3", syscall(435, 0, 0));
    attempt("io_uring", syscall(425, 8, 0));
    attempt("bpf", syscall(SYS_bpf, 0, 0, 0));
    attempt("a kernel key", syscall(SYS_add_key, "user", "mark", "x", 1, -4));
    attempt("a device node", mknod("/work/mem", S_IFCHR | 0600, 0x101));
    attempt("chroot", chroot("/tmp"));
    attempt("write to /usr", open("/usr/owned", O_CREAT | O_WRONLY, 0600));
    attempt("write to /proc/sys", open("/proc/sys/kernel/hostname", O_WRONLY));
    attempt("a new host name", sethostname("owned", 5));
    attempt("uid 0", setuid(0));
    return granted;
}
