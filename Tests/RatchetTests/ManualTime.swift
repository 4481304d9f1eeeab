import Ratchet
import Synchronization

/// Clocks that move when the test says so.
final class ManualTime: Sendable {
    private let wall = Mutex<Int64>(1_700_000_000_000)
    private let monotonic = Mutex<Int64>(5_000_000_000)

    var source: TimeSource {
        TimeSource(wall: { self.wall.withLock { $0 } }, monotonic: { self.monotonic.withLock { $0 } })
    }

    func advance(milliseconds: Int64) {
        wall.withLock { $0 += milliseconds }
        monotonic.withLock { $0 += milliseconds * 1_000_000 }
    }

    /// The wall clock alone leaps.
    func leap(milliseconds: Int64) { wall.withLock { $0 += milliseconds } }
}
