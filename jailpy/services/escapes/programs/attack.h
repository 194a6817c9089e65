/* What the hostile C programs share: see attack.py. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline void out(const char *name, const char *detail) { dprintf(1, "out %s: %s\n", name, detail); }
static inline void held(const char *name, int error) { dprintf(1, "held %s: %s\n", name, strerrorname_np(error)); }
