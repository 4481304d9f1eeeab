#if Kafka
    internal import CRdkafka

    /// Something a thread sleeps on until librdkafka or another thread has work for it.
    final class Waker: Sendable {
        /// librdkafka writes this to ``descriptor``.
        static let payload: UInt64 = 1

        private let reading: Int32
        /// Where ``payload`` is written to wake the thread.
        let descriptor: Int32

        init() {
            var descriptors: (Int32, Int32) = (0, 0)
            let result = withUnsafeMutableBytes(of: &descriptors) {
                crdkafka_wake_open($0.assumingMemoryBound(to: Int32.self).baseAddress)
            }
            precondition(result == 0, "The process has no file descriptor left for a client's thread.")
            (reading, descriptor) = descriptors
        }

        deinit {
            close(reading)
            if descriptor != reading { close(descriptor) }
        }

        func wake() {
            // Where it is full it is awake already.
            _ = withUnsafeBytes(of: Self.payload) { write(descriptor, $0.baseAddress, $0.count) }
        }

        /// Sleeps until woken, for so many milliseconds at the most.
        func wait(milliseconds: Int32) {
            var wanted = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
            guard poll(&wanted, 1, milliseconds) > 0 else { return }
            var told: UInt64 = 0
            while withUnsafeMutableBytes(of: &told, { read(reading, $0.baseAddress, $0.count) }) == 8 {}
        }

        /// Has a queue of librdkafka wake the thread whenever something comes while it is empty.
        func listen(to queue: OpaquePointer) {
            withUnsafeBytes(of: Self.payload) {
                rd_kafka_queue_io_event_enable(queue, descriptor, $0.baseAddress, $0.count)
            }
        }
    }
#endif
