#define _GNU_SOURCE
#include "CFaults.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCHES 64
#define PATH_BYTES 4096

struct watch {
    int calls; // 0: free
    char path[PATH_BYTES];
    unsigned nth;
    int error;
    unsigned count;
};

static struct watch watches[WATCHES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
// Unless something is armed, a call costs one load more.
static atomic_int armed;

int faults_arm(int calls, const char *path, unsigned nth, int error) {
    int found = -1;
    if (strlen(path) >= PATH_BYTES) return -1;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < WATCHES && found < 0; i++) {
        if (watches[i].calls != 0) continue;
        watches[i] = (struct watch){.calls = calls, .nth = nth, .error = error};
        strcpy(watches[i].path, path);
        atomic_fetch_add(&armed, 1);
        found = i;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

unsigned faults_count(int watch) {
    pthread_mutex_lock(&lock);
    unsigned count = watches[watch].count;
    pthread_mutex_unlock(&lock);
    return count;
}

void faults_disarm(int watch) {
    pthread_mutex_lock(&lock);
    if (watches[watch].calls != 0) atomic_fetch_sub(&armed, 1);
    watches[watch].calls = 0;
    pthread_mutex_unlock(&lock);
}

int faults_fork(void) { return fork(); }

int faults_wait(int child) {
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : -1;
}

_Noreturn void faults_exit(int code) { _exit(code); }

#if defined(__linux__)

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>

int faults_mount(const char *path, size_t size) {
    char options[64];
    snprintf(options, sizeof options, "size=%zu,mode=0700", size);
    if (unshare(CLONE_NEWNS) != 0) return errno;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return errno;
    return mount("tmpfs", path, "tmpfs", 0, options) == 0 ? 0 : errno;
}

int faults_can_mount(void) {
    int child = fork();
    if (child == 0) _exit(faults_mount("/tmp", 1 << 20) == 0 ? 0 : 1);
    return child > 0 && faults_wait(child) == 0;
}

// The errno that this call is to fail with, or 0 when it is to be made.
static int fault(int call, const char *path) {
    int error = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < WATCHES; i++) {
        struct watch *watch = &watches[i];
        if (!(watch->calls & call) || strstr(path, watch->path) == NULL) continue;
        watch->count++;
        if (watch->count == watch->nth) error = watch->error;
    }
    pthread_mutex_unlock(&lock);
    if (error == FAULTS_KILL) kill(getpid(), SIGKILL);
    return error;
}

static int path_fault(int call, const char *path) {
    if (atomic_load_explicit(&armed, memory_order_relaxed) == 0) return 0;
    int error = fault(call, path);
    if (error != 0) errno = error;
    return error;
}

static int file_fault(int call, int file) {
    if (atomic_load_explicit(&armed, memory_order_relaxed) == 0) return 0;
    int before = errno;
    char link[64], path[PATH_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return path_fault(call, path);
}

int fdatasync(int file) {
    return file_fault(FAULTS_FDATASYNC, file) ? -1 : (int)syscall(SYS_fdatasync, file);
}

int fsync(int file) {
    return file_fault(FAULTS_FSYNC, file) ? -1 : (int)syscall(SYS_fsync, file);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    return file_fault(FAULTS_PWRITE, file) ? -1 : syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    return file_fault(FAULTS_WRITEV, file) ? -1 : syscall(SYS_writev, file, parts, count);
}

int rename(const char *from, const char *to) {
    return path_fault(FAULTS_RENAME, from) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int mkdir(const char *path, mode_t mode) {
    return path_fault(FAULTS_MKDIR, path) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int posix_fallocate(int file, off_t offset, off_t size) {
    int error = file_fault(FAULTS_FALLOCATE, file);
    if (error != 0) return error;
    return syscall(SYS_fallocate, file, 0, offset, size) == 0 ? 0 : errno;
}

#else

int faults_mount(const char *path, size_t size) { return ENOTSUP; }

int faults_can_mount(void) { return 0; }

#endif
