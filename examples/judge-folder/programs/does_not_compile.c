/* Uses what it never declared: the compiler refuses, and there is nothing to run.
 * expect: nonzero_exit */
#include <stdio.h>

int main(void)
{
    printf("%d\n", undeclared);
    return 0;
}
