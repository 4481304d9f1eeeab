import LMDB
import Logging
import Ratchet

/// The time by which producers expire, in milliseconds: the broker's own, which never leaps.
///
/// It follows the monotonic clock while the broker is open, as a ledger's time does. Of the time that it was closed no
/// more counts than half of what a producer may be silent, whatever the wall clock says: so a clock that was set forward
/// forgets nobody who was there shortly before.
struct ProducerTime: Sendable {
    private static let what = "the time of the producers"

    private let clock: LedgerClock
    private let time: TimeSource

    /// Goes on where the broker's file says that it was. Throws ``BrokerError``: `corrupted`, `closed`.
    init(_ storage: Storage, _ configuration: Broker.Configuration) throws {
        let tables = storage.tables
        let last = try storage.read { try Self.last(in: $0, tables) }
        time = configuration.time
        clock = LedgerClock(
            last: last,
            wall: time.wall(),
            monotonic: time.monotonic() / 1_000_000,
            longestDowntime: configuration.producerExpiry.milliseconds / 2
        )
        switch clock.downtime {
        case .credited: break
        case .capped(let excess):
            configuration.logger.info(
                "Producers expire later: not all of the time that the broker was closed is counted.",
                metadata: LogKeys.milliseconds(excess, storage.path)
            )
        case .wentBack(let back):
            configuration.logger.warning(
                "The wall clock went back while the broker was closed: producers expire later.",
                metadata: LogKeys.milliseconds(back, storage.path)
            )
        }
    }

    var now: Int64 { clock.time(atMonotonic: time.monotonic() / 1_000_000) }

    /// Has the next opening go on from here.
    func write(in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        var value: [UInt8] = []
        value.appendLittleEndian(now)
        value.appendLittleEndian(time.wall())
        try transaction.putSealed(value, for: Array(SealedRow.producerTime.utf8), in: tables.meta)
    }

    private static func last(
        in transaction: borrowing ReadTransaction,
        _ tables: Tables
    ) throws -> (ledger: Int64, wall: Int64)? {
        guard let stored = try transaction.sealedText(SealedRow.producerTime, in: tables.meta, what) else { return nil }
        guard stored.count == 16 else {
            throw BrokerError(.corrupted, "\(what) has \(stored.count) bytes, not 16")
        }
        let time = Int64(littleEndian: stored.loadUnaligned(as: Int64.self))
        guard 0..<PartitionRow.maximum ~= time else { throw BrokerError(.corrupted, "\(what) is \(time)") }
        return (time, Int64(littleEndian: stored.loadUnaligned(fromByteOffset: 8, as: Int64.self)))
    }
}
