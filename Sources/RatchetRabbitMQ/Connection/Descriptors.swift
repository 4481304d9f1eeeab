#if RabbitMQ
    import CRabbitMQ

    import Synchronization

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    /// The calls to the operating system that a connection makes.
    enum Descriptors {
        static func canRead(_ path: String) -> Bool { access(path, R_OK) == 0 }

        /// Sleeps until there is something to read, or in the second one room to write, or for so many milliseconds at the
        /// most.
        static func wait(for first: CInt, _ second: CInt?, orRoom: Bool, atMost milliseconds: CInt) {
            var waited = [pollfd(fd: first, events: Int16(POLLIN), revents: 0)]
            let events = Int16(orRoom ? POLLIN | POLLOUT : POLLIN)
            if let second { waited.append(pollfd(fd: second, events: events, revents: 0)) }
            // Interrupted or not: whoever sleeps here looks at everything afterwards.
            _ = poll(&waited, nfds_t(waited.count), milliseconds)
        }

        /// Whether a socket takes some more: a third of what it holds is free. An error is told by the next write.
        static func hasRoom(_ descriptor: CInt) -> Bool {
            var waited = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            return poll(&waited, 1, 0) != 0
        }
    }

    /// Wakes a thread that sleeps in poll, and frees one that a full socket holds up.
    final class Wakeup: Sendable {
        let descriptor: CInt
        /// What the thread may be held up by.
        private let held = Mutex<CInt?>(nil)

        init() {
            descriptor = crabbitmq_eventfd()
            precondition(descriptor >= 0, "no descriptor is left to wake a connection's thread by: errno \(errno)")
        }

        deinit { close(descriptor) }

        func tell() {
            var one: UInt64 = 1
            // It fails only when it has been told very often already.
            _ = write(descriptor, &one, 8)
        }

        /// The thread uses this socket now; it looks at what it was asked for afterwards, so that no interruption is missed.
        func enter(_ descriptor: CInt?) { held.withLock { $0 = descriptor } }

        /// Its socket may be closed from now on.
        func leave() { held.withLock { $0 = nil } }

        /// As ``tell()``; and a connection that the thread is using this very moment is lost.
        func interrupt() {
            held.withLock { held in
                if let held { shutdown(held, CInt(SHUT_RDWR)) }
            }
            tell()
        }

        /// Forgets that it was told.
        func clear() {
            var count: UInt64 = 0
            _ = read(descriptor, &count, 8)
        }
    }
#endif
