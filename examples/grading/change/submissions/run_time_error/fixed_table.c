#include <stdio.h>
#include <stdlib.h>

int main(void) {
    int amount, count;
    scanf("%d %d", &amount, &count);
    int *fewest = malloc(1000 * sizeof(int));
    for (int part = 0; part <= amount * 64; part++) fewest[part] = part;
    puts("impossible");
}
