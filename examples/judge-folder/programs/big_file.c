/* Makes one file larger than a file may be.
 * expect: file_size_limit */
#include <fcntl.h>
#include <unistd.h>

int main(void)
{
    int fd = open("/work/big", O_CREAT | O_WRONLY, 0600);

    return ftruncate(fd, 1L << 33) ? 1 : 0;
}
