// Lets the thread sanitizer see `Synchronization.Mutex` on Linux. Its fast path is compiled into our code and seen; where
// it has to wait it goes through these two functions of the Swift library, which is not instrumented, and whatever it
// guards then looks unguarded. Loaded before that library, they tell the sanitizer.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Absent in programs that are built without the sanitizer, such as `swift test` itself.
void __tsan_acquire(void *) __attribute__((weak));
void __tsan_release(void *) __attribute__((weak));

SWIFT void lock(uint32_t thread, SELF void *mutex) __asm__(LOCK);
SWIFT void unlock(SELF void *mutex) __asm__(UNLOCK);

static SWIFT void (*wait)(uint32_t, SELF void *);
static SWIFT void (*wake)(SELF void *);

__attribute__((constructor)) static void find(void) {
    wait = dlsym(RTLD_NEXT, LOCK);
    wake = dlsym(RTLD_NEXT, UNLOCK);
}

SWIFT void lock(uint32_t thread, SELF void *mutex) {
    wait(thread, mutex);
    if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT void unlock(SELF void *mutex) {
    if (__tsan_release) __tsan_release(mutex);
    wake(mutex);
}
