#include "fewest.h"
#include <stdio.h>

int main(void) {
    int amount, count, values[20];
    scanf("%d %d", &amount, &count);
    for (int at = 0; at < count; at++) scanf("%d", &values[at]);
    int coins = fewest_coins(amount, count, values);
    if (coins < 0) puts("impossible");
    else printf("%d\n", coins);
}
