// row = "A15"
// boundary = "the supervisor's memory, and its answer to each denied call"
// ending = "ok"
// layers = ["seccomp"]
// violations = ["kcmp"]
// control = "without"
/* Ten thousand denied calls, no two alike. Not one may pass. */
#include "attack.h"

int main(void) {
  long passed = 0;
  for (long i = 0; i < 10000; i++)
    passed += !(syscall(SYS_kcmp, getpid(), getpid(), 0, i & 1, i << 1) < 0 && (errno == EPERM || errno == ENOSYS));
  if (passed)
    out("flood", "calls passed");
  else
    held("flood", EPERM);
}
