#pragma once

#include <stddef.h>

// Faults made to order, for tests. This target defines some of the C library's functions in the test executable, so
// that the calls of everything in the process, liblmdb.so included, pass through it. Linux only; elsewhere nothing is
// seen.

// The calls that are watched.
enum {
    FAULTS_FDATASYNC = 1,
    FAULTS_FSYNC = 2,
    FAULTS_PWRITE = 4,
    FAULTS_WRITEV = 8,
    FAULTS_RENAME = 16,
    FAULTS_MKDIR = 32,
    FAULTS_FALLOCATE = 64,
    // A database's writes: LMDB calls pwrite for one page and writev for several.
    FAULTS_WRITES = FAULTS_PWRITE | FAULTS_WRITEV,
    FAULTS_ALL = 127,
};

// In place of an errno: the process ends by SIGKILL instead of making the call.
enum { FAULTS_KILL = -1 };

// Watches `calls` on files whose path contains `path`. The `nth` such call from now on fails with `error`, once; 0 only
// counts. Answers a number for the other functions, or -1 when too many watches are armed. May be called on any thread.
int faults_arm(int calls, const char *path, unsigned nth, int error);

// How many calls the watch has seen, the failed one included.
unsigned faults_count(int watch);

// Ends the watch.
void faults_disarm(int watch);

// fork(), which Swift does not offer. Answers the child's process number, 0 in the child, or -1.
int faults_fork(void);

// Waits for a child. Answers its exit code, or 128 and the number of the signal that ended it, or -1.
int faults_wait(int child);

// Ends the process at once, without running anything else.
_Noreturn void faults_exit(int code);

// Mounts an empty file system of `size` bytes in memory on the folder `path`, seen by this process only and gone with
// it. Answers 0 or an errno. Needs the rights of root.
int faults_mount(const char *path, size_t size);

// Whether faults_mount would work, tried out in a child process.
int faults_can_mount(void);
