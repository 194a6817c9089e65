// row = "A12"
// boundary = "files that the rules do not grant, by a path that changes after it was checked"
// ending = "ok"
// layers = ["landlock"]
// control = "without"
/* One thread changes the path while the other opens it. What decides on the pointer before the kernel reads it loses. */
#include "attack.h"

static char path[32] = "/etc/passwd";
static volatile int over;

// A call, and no inlined copy: emulated processors look for interrupts between blocks of instructions alone.
static __attribute__((noinline)) void put(const char *name) {
  memcpy(path, name, 12);
  __asm__ volatile("" : : : "memory");
}

static void *flip(void *unused) {
  while (!over) {
    put("/.landlock\0");
    put("/etc/passwd");
  }
  return 0;
}

int main(void) {
  pthread_t thread;
  struct {
    long a, b;
  } found = {0, 0};
  int error = 0;
  pthread_create(&thread, 0, flip, 0);
  // On a busy machine the threads take turns by the slice: go on until the other path was met.
  time_t until = time(0) + 5;
  for (int i = 0; found.a < 1 && (i < 60000 || (!error && time(0) < until)); i++) {
    int number = open(path, O_RDONLY);
    if (number < 0) {
      error = errno == ENOENT ? error : errno;
      continue;
    }
    char name[64], link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", number);
    ssize_t size = readlink(link, name, sizeof name - 1);
    name[size < 0 ? 0 : size] = 0;
    found.a += !strcmp(name, "/.landlock");
    close(number);
  }
  over = 1;
  pthread_join(thread, 0);
  if (found.a)
    out("changed path", "opened the file that the rules do not grant");
  else
    held("changed path", error ? error : ENOENT);
}
