#include <stdio.h>

int main(void) {
    int amount = -1;
    while (amount < 0 || getchar() != 7) amount ^= 1;
}
