/* Makes random system calls with random and half-sensible arguments, in children, until its time is over. A payload.
   fuzzer SEED SECONDS. The last line says how many calls were made; the process itself may fall victim to its children. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 300 };
static uint64_t state;
static char page[65536];
static volatile long *made;
static const char *const paths[] = {
    "/proc/self/mem", "/proc/1/mem", "/proc/self/exe", "/proc/sys/kernel/core_pattern", "/work/file", "/tmp/folder", "/dev/null", "/dev/zero",
    "/dev/shm/x", "/usr/bin/true", "/usr/bin", "/", "..", ".", "/proc", "/etc/passwd", "/.landlock", "/proc/self/fd/1", "/work", "",
};
static const uint64_t odd[] = {0, 1, 2, 7, 8, 16, 64, 4095, 4096, 65536, 1 << 20, 0x7fffffff, 0x80000000, 0xffffffff, ~0ull, 1ull << 63,
                               0x10000000, 0x40000000, 0x5412, 0x541c, 0x7e020000, 04755, 0100000, 0x4000, 0x80000};

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static uint64_t argument(void) {
  switch (next() % 10) {
  case 0: return next();
  case 1: return next() % 12;
  case 2: return odd[next() % (sizeof odd / sizeof *odd)];
  case 3: return 1ull << next() % 64;
  case 4: return (uint64_t)paths[next() % (sizeof paths / sizeof *paths)];
  case 5: return (uint64_t)(page + next() % 32768);
  case 6: return (uint64_t)-100;
  case 7: return next() % 512;
  case 8: return odd[next() % (sizeof odd / sizeof *odd)] | odd[next() % (sizeof odd / sizeof *odd)] << 32;
  default: return (uint64_t)page;
  }
}

static long number(void) {
  switch (next() % 1000) { /* the last two end the caller */
  case 0 ... 19: return next() % 1024;
  case 20: return 0x40000000 + next() % 512;
  case 21: return (long)next();
  default: return next() % 480;
  }
}

static void child(void) {
  alarm(1);
  for (size_t i = 0; i < sizeof page; i += 8)
    *(uint64_t *)(page + i) = next() % 4 ? next() % 64 : next();
  for (int i = 0; i < CALLS; i++) {
    long call = number();
    if (call == SYS_exit || call == SYS_exit_group || call == SYS_pause || call == SYS_rt_sigsuspend)
      continue;
    syscall(call, argument(), argument(), argument(), argument(), argument(), argument());
    ++*made;
  }
  _exit(0);
}

int main(int argc, char **argv) {
  time_t end = time(0) + atoi(argv[2]);
  made = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  state = strtoull(argv[1], 0, 10) * 2654435761u + 88172645463325252ull;
  while (time(0) < end) {
    uint64_t seed = next();
    pid_t pid = fork();
    if (pid == 0) {
      state = seed * 6364136223846793005u + 1442695040888963407u;
      child();
    }
    for (int i = 0; i < 500 && waitpid(pid, 0, WNOHANG) == 0; i++)
      usleep(1000);
    kill(pid, SIGKILL);
    waitpid(pid, 0, 0);
    dprintf(2, "%ld\n", *made);
  }
  printf("calls %ld\n", *made);
  return 0;
}
