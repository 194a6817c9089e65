// expect: RTE
#include <stdlib.h>

int main(void) {
    int *table = NULL;
    return table[3];
}
