/// The ledger's own time, in milliseconds: it never goes back and never leaps.
///
/// Pure. It follows a monotonic clock while the ledger is open. For the time it was closed, the wall clock's difference
/// is credited, up to a longest downtime and never less than nothing; the rest is reported. So no jump of the wall
/// clock forgets a key too early.
package struct LedgerClock: Hashable, Sendable {
    /// What the wall clock said about the time the ledger was closed.
    package enum Downtime: Hashable, Sendable {
        case credited(Int64)
        /// More than the longest downtime: so many milliseconds were not believed.
        case capped(excess: Int64)
        /// The wall clock went back by so many milliseconds.
        case wentBack(Int64)
    }

    /// The most that one opening credits, whatever is configured: so no sum overflows.
    private static let most = Int64.max / 1024

    private let base: Int64
    private let monotonicBase: Int64
    package let downtime: Downtime

    /// `last` is what was stored with the last commit; both monotonic values are of this process.
    package init(last: (ledger: Int64, wall: Int64)?, wall: Int64, monotonic: Int64, longestDowntime: Int64) {
        monotonicBase = monotonic
        guard let last else {
            base = 0
            downtime = .credited(0)
            return
        }
        let (difference, overflow) = wall.subtractingReportingOverflow(last.wall)
        let longest = min(longestDowntime, Self.most)
        if wall < last.wall {
            base = last.ledger
            downtime = .wentBack(overflow ? .max : Int64(clamping: difference.magnitude))
        } else if overflow || difference > longest {
            base = last.ledger + longest
            downtime = .capped(excess: overflow ? .max : difference - longest)
        } else {
            base = last.ledger + difference
            downtime = .credited(difference)
        }
    }

    /// Ledger time at a monotonic time of this process.
    package func time(atMonotonic monotonic: Int64) -> Int64 { base + max(0, monotonic - monotonicBase) }
}
