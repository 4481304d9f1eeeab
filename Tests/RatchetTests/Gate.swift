#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Blocks a thread that is not the tests' own until it is opened; each opening lets one pass.
final class Gate: @unchecked Sendable {
    private var semaphore = sem_t()

    init() { sem_init(&semaphore, 0, 0) }

    deinit { sem_destroy(&semaphore) }

    func wait() { sem_wait(&semaphore) }

    func open() { sem_post(&semaphore) }
}
