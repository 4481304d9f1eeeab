import CLMDB

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension Platform {
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// User code runs on our threads: as much stack as a main thread has, whatever the system's default.
    private static let stackSize = 8 << 20

    /// Starts a thread that nobody waits for.
    package static func startThread(name: String, _ body: @escaping @Sendable () -> Void) {
        let argument = Unmanaged.passRetained(Start(name: name, body: body)).toOpaque()
        let number = withUnsafeTemporaryAllocation(of: pthread_attr_t.self, capacity: 1) { attributes in
            create(attributes.baseAddress!, argument)
        }
        precondition(number == 0, "The thread \(name) cannot be started: \(errorText(number)).")
    }

    private static func create(
        _ attributes: UnsafeMutablePointer<pthread_attr_t>,
        _ argument: UnsafeMutableRawPointer
    ) -> CInt {
        pthread_attr_init(attributes)
        defer { pthread_attr_destroy(attributes) }
        pthread_attr_setdetachstate(attributes, CInt(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(attributes, stackSize)
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        return pthread_create(&thread, attributes, { Platform.run($0) }, argument)
    }

    private static func run(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        setThreadName(start.name)
        start.body()
        return nil
    }

    private static func setThreadName(_ name: String) {
        #if canImport(Darwin)
            pthread_setname_np(name)
        #else
            clmdb_name_thread(name)
        #endif
    }
}

/// A value behind a lock, with a thread that waits for it to change.
final class GuardedState<Value>: @unchecked Sendable {
    private var value: Value
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    /// Whether a thread waits: only then a change has somebody to wake.
    private var isAwaited = false

    init(_ value: sending Value) {
        self.value = value
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        changed = .allocate(capacity: 1)
        changed.initialize(to: pthread_cond_t())
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Reads or changes the value.
    func withLock<R>(_ body: (inout Value) -> R) -> R {
        pthread_mutex_lock(mutex)
        let result = body(&value)
        let wake = isAwaited
        isAwaited = false
        pthread_mutex_unlock(mutex)
        if wake { pthread_cond_signal(changed) }
        return result
    }

    /// Sleeps until the value is as wanted, then reads or changes it. One thread only may wait.
    func wait<R>(until isReady: (Value) -> Bool, _ body: (inout Value) -> R) -> R {
        pthread_mutex_lock(mutex)
        while !isReady(value) {
            isAwaited = true
            pthread_cond_wait(changed, mutex)
        }
        isAwaited = false
        defer { pthread_mutex_unlock(mutex) }
        return body(&value)
    }
}
