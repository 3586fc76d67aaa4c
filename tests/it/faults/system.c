/* A clock and a disk that do what a test says: loaded before the C library of a process (LD_PRELOAD), it looks into the folder
 * FAULTS for a file `clock` with the seconds by which the wall clock is ahead, and for a file `full`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Opens a file of the folder without any function that stands here; -1 where it is not there. */
static int look(const char *name)
{
    char path[4096];
    const char *folder = getenv("FAULTS");
    int before = errno, file;
    if (folder == NULL || snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return -1;
    file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    errno = before;
    return file;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int got = (int)syscall(SYS_clock_gettime, clock, now);
    if (got == 0 && clock == CLOCK_REALTIME) {
        char text[32] = {0};
        int file = look("clock");
        if (file >= 0) {
            if (syscall(SYS_read, file, text, sizeof text - 1) > 0)
                now->tv_sec += atol(text);
            syscall(SYS_close, file);
        }
    }
    return got;
}

/* Whether this is a file on the disk that is full. */
static int is_full(int file)
{
    struct stat about;
    int full = look("full");
    if (full < 0)
        return 0;
    syscall(SYS_close, full);
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode))
        return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t write(int file, const void *bytes, size_t count)
{
    return is_full(file) ? -1 : syscall(SYS_write, file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
    return is_full(file) ? -1 : syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t offset)
{
    return pwrite(file, bytes, count, offset);
}
