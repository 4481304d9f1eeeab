import Synchronization

/// A producer's epoch: which producer of its transactional id it is, and how often its sequence numbers have begun anew
/// in the partition.
enum ProducerEpoch {
    /// The most producers of one id; the next one gets another id.
    static let maximumIncarnation = Int32(Int16.max)

    static func value(incarnation: Int32, restarts: Int32) -> Int32 { incarnation << 16 | restarts }

    static func incarnation(of epoch: Int32) -> Int32 { epoch >> 16 }
}

/// The producers in use, and which of them are fenced.
final class ProducerRegistry: Sendable {
    private struct Member {
        weak var producer: Producer?
    }

    private struct State {
        /// The incarnation that may send, by the ids of the producers that have a name.
        var incarnations: [Int64: Int32] = [:]
        /// The last transaction of each of them.
        var transactions: [Int64: Int64] = [:]
        var members: [Member] = []
        var nextExpiry = LogKey(0, 0)
    }

    /// By which they expire.
    let time: ProducerTime
    private let state = Mutex(State())

    /// The ids and incarnations of all producers that have a name.
    init(_ rows: [ProducerRow], _ time: ProducerTime) {
        self.time = time
        state.withLock { state in
            for row in rows { state.incarnations[row.id] = row.incarnation }
        }
    }

    /// Fences the producers of the same name that came before. On the writer thread, once that is durable.
    func publish(_ opened: ProducerTable.Opened) {
        guard opened.isNamed else { return }
        state.withLock { state in
            state.incarnations[opened.row.id] = opened.row.incarnation
            state.transactions[opened.row.id] = nil
            if let retired = opened.retired { state.incarnations[retired] = .max }
            for id in opened.forgotten {
                state.incarnations[id] = nil
                state.transactions[id] = nil
            }
        }
    }

    /// Whether a later producer has taken this one's name over.
    func isFenced(_ id: Int64, incarnation: Int32) -> Bool {
        state.withLock { $0.incarnations[id].map { $0 != incarnation } ?? false }
    }

    /// A transaction is durable. On the writer thread.
    func committed(_ transaction: Int64, of id: Int64) { state.withLock { $0.transactions[id] = transaction } }

    /// Whether this transaction, and not only an earlier one, is in the logs.
    func hasCommitted(_ transaction: Int64, of id: Int64) -> Bool {
        state.withLock { $0.transactions[id] == transaction }
    }

    /// Where the next look for idle producers begins.
    var nextExpiry: LogKey {
        get { state.withLock { $0.nextExpiry } }
        set { state.withLock { $0.nextExpiry = newValue } }
    }

    func add(_ producer: Producer) {
        state.withLock { state in
            state.members.removeAll { $0.producer == nil }
            state.members.append(Member(producer: producer))
        }
    }

    /// Those in use, in the order in which they were opened.
    var producers: [Producer] { state.withLock { $0.members.compactMap(\.producer) } }
}
