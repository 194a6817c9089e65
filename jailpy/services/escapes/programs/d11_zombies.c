// row = "D11"
// boundary = "limits.processes, by processes that nobody waits for"
// ending = "process_limit"
// evidence = "pids"
// layers = ["cgroup"]
// control = "loose"
// loose = { processes = 300 }
/* A hundred zombies at one time. */
#include "attack.h"

int main(void) {
  int error = 0;
  for (int i = 0; i < 100 && !error; i++) {
    pid_t pid = fork();
    if (pid == 0)
      _exit(0);
    error = pid < 0 ? errno : 0;
  }
  if (error)
    held("zombies", error);
  else
    out("zombies", "100 at one time");
  return error != 0;
}
