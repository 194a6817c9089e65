// expect: PE
#include <stdio.h>

int main(void) {
    static int fewest[20001];
    int amount, count, value;
    scanf("%d %d", &amount, &count);
    for (int part = 1; part <= amount; part++) fewest[part] = amount + 1;
    while (count-- && scanf("%d", &value) == 1)
        for (int part = value; part <= amount; part++)
            if (fewest[part - value] + 1 < fewest[part]) fewest[part] = fewest[part - value] + 1;
    if (fewest[amount] <= amount) printf("%d \n", fewest[amount]);
    else puts("impossible");
}
