#define _GNU_SOURCE
#include "CBaseline.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// These two stand before the C library's for the whole process, LMDB included.

static atomic_uint delay;
static atomic_ullong flushes;

void baseline_delay_flushes(unsigned microseconds) { atomic_store(&delay, microseconds); }
uint64_t baseline_flushes(void) { return atomic_load(&flushes); }

static void flushed(void) {
    atomic_fetch_add(&flushes, 1);
    unsigned microseconds = atomic_load(&delay);
    if (microseconds == 0) return;
    struct timespec time = {.tv_sec = 0, .tv_nsec = microseconds * 1000L};
    nanosleep(&time, NULL);
}

int fdatasync(int descriptor) {
    int result = (int)syscall(SYS_fdatasync, descriptor);
    flushed();
    return result;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    ssize_t result = syscall(SYS_pwrite64, descriptor, bytes, count, offset);
    int flags = fcntl(descriptor, F_GETFL);
    if (flags >= 0 && (flags & O_DSYNC)) flushed();
    return result;
}

void baseline_flush(const char *folder) {
    int file = open(folder, O_RDONLY | O_DIRECTORY);
    if (file < 0) return;
    syncfs(file);
    close(file);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double baseline_flush_time(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/flush", folder);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0) return -1;
    double times[101];
    for (int i = 0; i < 101; i++) {
        struct timespec start, end;
        if (write(file, times, 512) != 512) break;
        clock_gettime(CLOCK_MONOTONIC, &start);
        fdatasync(file);
        clock_gettime(CLOCK_MONOTONIC, &end);
        times[i] = (end.tv_sec - start.tv_sec) * 1e6 + (end.tv_nsec - start.tv_nsec) / 1e3;
    }
    close(file);
    unlink(path);
    qsort(times, 101, sizeof times[0], ascending);
    return times[50];
}
