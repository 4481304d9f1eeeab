#if RabbitMQ
    import CRabbitMQ

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    /// The calls to the operating system that a connection makes.
    enum Descriptors {
        static func canRead(_ path: String) -> Bool { access(path, R_OK) == 0 }

        /// Sleeps until there is something to read, or for so many milliseconds at the most.
        static func wait(for first: CInt, _ second: CInt?, atMost milliseconds: CInt) {
            var waited = [pollfd(fd: first, events: Int16(POLLIN), revents: 0)]
            if let second { waited.append(pollfd(fd: second, events: Int16(POLLIN), revents: 0)) }
            // Interrupted or not: whoever sleeps here looks at everything afterwards.
            _ = poll(&waited, nfds_t(waited.count), milliseconds)
        }
    }

    /// Wakes a thread that sleeps in poll.
    final class Wakeup: Sendable {
        let descriptor: CInt

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

        /// Forgets that it was told.
        func clear() {
            var count: UInt64 = 0
            _ = read(descriptor, &count, 8)
        }
    }
#endif
