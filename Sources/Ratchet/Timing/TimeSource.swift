#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The two clocks that a ledger and a broker read, behind a value so that a test or a simulation can bring its own.
public struct TimeSource: Sendable {
    /// Milliseconds since 1970, as the machine believes: may leap either way.
    public var wall: @Sendable () -> Int64
    /// Nanoseconds of a clock that never goes back, from any beginning.
    public var monotonic: @Sendable () -> Int64

    /// A time source from its two clocks.
    public init(wall: @escaping @Sendable () -> Int64, monotonic: @escaping @Sendable () -> Int64) {
        self.wall = wall
        self.monotonic = monotonic
    }

    /// The machine's clocks: the only place where they are read.
    public static let system = TimeSource(
        wall: { read(CLOCK_REALTIME) / 1_000_000 },
        monotonic: { read(CLOCK_MONOTONIC) }
    )

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
