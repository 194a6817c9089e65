/* libc: stdio, threads, a signal, mathematics, a large allocation, time. */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t caught;

static void on_signal(int number) { caught = number; }

static void *twice(void *number)
{
    *(long *)number *= 2;
    return NULL;
}

int main(int argc, char **argv)
{
    long number = 21;
    pthread_t thread;
    char *block = malloc(32 << 20);

    memset(block, 1, 32 << 20);
    pthread_create(&thread, NULL, twice, &number);
    pthread_join(thread, NULL);
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    printf("%ld %.3f %d %d %d\n", number, sqrt(2), block[1 << 20], caught == SIGUSR1, time(NULL) > 0);
    printf("%s\n", argc > 1 ? argv[1] : "no argument");
    free(block);
    return 0;
}
