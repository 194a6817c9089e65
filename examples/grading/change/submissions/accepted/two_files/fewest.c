#include "fewest.h"

int fewest_coins(int amount, int count, const int *values) {
    static int fewest[20001];
    for (int part = 1; part <= amount; part++) {
        fewest[part] = -1;
        for (int at = 0; at < count; at++) {
            int before = part >= values[at] ? fewest[part - values[at]] : -1;
            if (before >= 0 && (fewest[part] < 0 || before + 1 < fewest[part])) fewest[part] = before + 1;
        }
    }
    return fewest[amount];
}
