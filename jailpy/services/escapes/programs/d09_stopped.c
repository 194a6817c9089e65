// row = "D9"
// boundary = "limits.wall, while it is stopped"
// ending = "wall_limit"
// evidence = "CLOCK_MONOTONIC"
// layers = ["supervisor"]
// control = "loose"
// options = { wall = "400ms" }
// loose = { wall = "20s" }
/* Stops itself and its children, and waits for a vfork child that never executes. A sibling says when it is late. */
#include "attack.h"

int main(void) {
  pid_t stopped = fork();
  if (stopped == 0) {
    raise(SIGSTOP);
    _exit(0);
  }
  pid_t late = fork();
  if (late == 0) {
    usleep(1200000);
    out("stopped", "still there");
    kill(getppid(), SIGKILL);
    _exit(0);
  }
  if (vfork() == 0) {
    for (int i = 0; i < 40; i++)
      syscall(SYS_kill, stopped, SIGSTOP), usleep(50000);
    _exit(0);
  }
  for (;;)
    raise(SIGSTOP);
}
