// row = "D2"
// boundary = "limits.processes"
// ending = "process_limit"
// evidence = "pids"
// layers = ["cgroup", "rlimits"]
// control = "loose"
// loose = { processes = 200 }
// [backstop]
// cgroup = "with it goes the evidence, and so the verdict"
/* Threads, and children that send no SIGCHLD. */
#include "attack.h"

static void *rest(void *unused) {
  pause();
  return 0;
}

int main(void) {
  pthread_t thread;
  pthread_attr_t small;
  int started = 0, error = 0;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  while (started < 40 && !(error = pthread_create(&thread, &small, rest, 0)))
    started++;
  if (error)
    held("threads", error);
  else
    out("threads", "40 at one time");
  for (error = 0; started < 80 && !error; started++) {
    pid_t pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0)
      for (;;)
        pause();
    error = pid < 0 ? errno : 0;
  }
  if (error)
    held("clones", error);
  else
    out("clones", "80 tasks at one time");
  kill(0, 0);
  _exit(error != 0);
}
