// Lets the thread sanitizer see on Linux what Swift's libraries, which are not instrumented, do not tell it. Loaded before
// them.
//
// `Synchronization.Mutex`: its fast path is compiled into our code and seen; where it has to wait it goes through two
// functions of the library, and whatever it guards then looks unguarded.
//
// A continuation that was resumed before its task came to wait: the library tells of the resuming, and goes on with the
// task without a word, so that what the continuation brings looks unguarded. The first that our code does then is to give
// back the memory of the call.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define DEALLOCATE "swift_task_dealloc"
#define CURRENT "swift_task_getCurrent"

// Absent in programs that are built without the sanitizer, such as `swift test` itself.
void __tsan_acquire(void *) __attribute__((weak));
void __tsan_release(void *) __attribute__((weak));

SWIFT void lock(uint32_t thread, SELF void *mutex) __asm__(LOCK);
SWIFT void unlock(SELF void *mutex) __asm__(UNLOCK);
SWIFT void deallocate(void *memory) __asm__(DEALLOCATE);

static SWIFT void (*wait)(uint32_t, SELF void *);
static SWIFT void (*wake)(SELF void *);
static SWIFT void (*give_back)(void *);
static SWIFT void *(*current_task)(void);

__attribute__((constructor)) static void find(void) {
    wait = dlsym(RTLD_NEXT, LOCK);
    wake = dlsym(RTLD_NEXT, UNLOCK);
    give_back = dlsym(RTLD_NEXT, DEALLOCATE);
    current_task = dlsym(RTLD_NEXT, CURRENT);
}

SWIFT void lock(uint32_t thread, SELF void *mutex) {
    wait(thread, mutex);
    if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT void unlock(SELF void *mutex) {
    if (__tsan_release) __tsan_release(mutex);
    wake(mutex);
}

SWIFT void deallocate(void *memory) {
    // Who resumes a task releases it to the sanitizer.
    if (__tsan_acquire) __tsan_acquire(current_task());
    give_back(memory);
}
