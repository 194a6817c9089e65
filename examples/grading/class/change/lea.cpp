// expect: TLE
#include <iostream>

int main() {
    volatile unsigned long long coins = 1;
    while (coins) coins = coins * 2 + 1;
}
