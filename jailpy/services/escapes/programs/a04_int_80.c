// row = "A4"
// boundary = "the filter, by the system call entry of another architecture"
// ending = "security_violation"
// layers = ["seccomp"]
// control = "without"
// machines = ["x86_64"]
/* getpid of i386: number 20, which is writev of x86-64. */
#include "attack.h"

int main(void) {
  int result = 20;
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
  out("int 0x80", result > 0 ? "answered" : "reached the kernel");
}
