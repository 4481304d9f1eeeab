/// The injected clock, read as the time since the broker was opened.
struct BrokerClock: Sendable {
    private let read: @Sendable () -> Duration
    private let wait: @Sendable (Duration) async throws -> Void

    init(_ clock: any Clock<Duration>) { self = Self.opened(clock) }

    private init(read: @escaping @Sendable () -> Duration, wait: @escaping @Sendable (Duration) async throws -> Void) {
        self.read = read
        self.wait = wait
    }

    private static func opened<C: Clock<Duration>>(_ clock: C) -> BrokerClock {
        let start = clock.now
        return BrokerClock {
            start.duration(to: clock.now)
        } wait: {
            try await clock.sleep(until: clock.now.advanced(by: $0), tolerance: nil)
        }
    }

    var now: Duration { read() }

    func sleep(for duration: Duration) async throws { try await wait(duration) }
}
