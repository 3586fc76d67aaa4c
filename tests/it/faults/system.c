/* A clock and a disk that do what a test says: loaded before the C library of a process (LD_PRELOAD), it looks into the folder
 * FAULTS for a file `clock` with the seconds by which the wall clock is ahead, and for the files `full`, `broken`
 * and `unsure`. */
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

/* Whether this is a file on the disk, and the disk is as the name says. */
static int is_on(const char *name, int file, int error)
{
    struct stat about;
    int found = look(name);
    if (found < 0)
        return 0;
    syscall(SYS_close, found);
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode))
        return 0;
    errno = error;
    return 1;
}

/* Whether nothing can be written there. */
static int is_stuck(int file)
{
    return is_on("full", file, ENOSPC) || is_on("broken", file, EIO);
}

ssize_t write(int file, const void *bytes, size_t count)
{
    return is_stuck(file) ? -1 : syscall(SYS_write, file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
    return is_stuck(file) ? -1 : syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t offset)
{
    return pwrite(file, bytes, count, offset);
}

/* Reading at a place is what databases do: the files of the configuration are read from begin to end. */
ssize_t pread(int file, void *bytes, size_t count, off_t offset)
{
    return is_on("broken", file, EIO) ? -1 : syscall(SYS_pread64, file, bytes, count, offset);
}

ssize_t pread64(int file, void *bytes, size_t count, off_t offset)
{
    return pread(file, bytes, count, offset);
}

/* A disk that takes everything and fails when it is to say that it has it. */
int fsync(int file)
{
    return is_on("broken", file, EIO) || is_on("unsure", file, EIO) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    return is_on("broken", file, EIO) || is_on("unsure", file, EIO) ? -1 : (int)syscall(SYS_fdatasync, file);
}
