/* Writes through a null pointer.
 * expect: signaled */
int main(void)
{
    volatile int *nowhere = 0;

    *nowhere = 42;
    return 0;
}
