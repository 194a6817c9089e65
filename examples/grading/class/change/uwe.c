// expect: CE
#include <stdio.h>

int main(void) {
    int amount
    scanf("%d", &amount);
}
