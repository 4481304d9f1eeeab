#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// When a thread that waits gives up, by a clock that never jumps. A simulation has no such thread.
struct WaitDeadline {
    private let nanoseconds: Int64

    /// So long from now; 292 years at the most.
    init(after duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let end = Self.now.addingReportingOverflow(overflow ? .max : whole + attoseconds / 1_000_000_000)
        nanoseconds = end.overflow ? .max : end.partialValue
    }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    private static func time(_ nanoseconds: Int64) -> timespec {
        timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }

    /// A condition that can be waited for until a deadline.
    static func initialize(_ condition: UnsafeMutablePointer<pthread_cond_t>) {
        #if canImport(Darwin)
            pthread_cond_init(condition, nil)
        #else
            var attributes = pthread_condattr_t()
            pthread_condattr_init(&attributes)
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
            pthread_cond_init(condition, &attributes)
            pthread_condattr_destroy(&attributes)
        #endif
    }

    /// Waits as `pthread_cond_wait` does; false once the deadline has passed.
    func wait(for condition: UnsafeMutablePointer<pthread_cond_t>, _ mutex: UnsafeMutablePointer<pthread_mutex_t>)
        -> Bool
    {
        #if canImport(Darwin)
            var left = Self.time(max(0, nanoseconds - Self.now))
            return pthread_cond_timedwait_relative_np(condition, mutex, &left) != ETIMEDOUT
        #else
            var end = Self.time(nanoseconds)
            return pthread_cond_timedwait(condition, mutex, &end) != ETIMEDOUT
        #endif
    }
}
