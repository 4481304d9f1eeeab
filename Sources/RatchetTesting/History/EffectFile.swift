public import Ratchet
import Synchronization

/// An append-only file of effects: what a program under test really did, as somebody else can read it.
///
/// Each effect is one line, written with one call to a file opened for appending, so that several processes may write to
/// one file and a killed one leaves whole lines behind: a checksum of the rest of the line in 16 hexadecimal digits
/// (XXH64), id, topic, partition, offset, generation and time, with a tab between them. ``read(_:into:)`` believes no
/// line whose checksum is wrong or whose end is missing. A writer that is stopped within a line, as by a full disk, leaves
/// it torn; whoever opens the file next ends it with a tab, which no whole line has at its end.
public final class EffectFile: Sendable {
    /// One effect of one message.
    public struct Effect: Hashable, Sendable {
        /// The message's name, as given to ``History/message(_:)``: 1 to 512 bytes, no tab or newline.
        public var id: String
        /// The partition it was delivered from. The topic's name has 1 to 512 bytes, no tab or newline.
        public var partition: TopicPartition
        /// Its offset there.
        public var offset: Int64
        /// The generation it was delivered under: the handler's fencing token.
        public var generation: Int64
        /// When, in nanoseconds on the history's clock. On one machine that is the system's monotonic clock.
        public var time: Int64

        /// An effect from its parts.
        public init(id: String, partition: TopicPartition, offset: Int64, generation: Int64, time: Int64) {
            self.id = id
            self.partition = partition
            self.offset = offset
            self.generation = generation
            self.time = time
        }
    }

    /// What a returned ``append(_:)`` survives.
    public enum Durability: Hashable, Sendable {
        /// The end of the process, killed or not.
        case process
        /// A power cut: each line is synced.
        case machine
    }

    /// What ends a line that its writer could not finish.
    static let tornEnd = UInt8(ascii: "\t")
    static let maximumNameBytes = 512
    /// Both names, a checksum, four numbers of 20 digits at the most, six tabs and the newline.
    static let maximumLineBytes = 2 * maximumNameBytes + 16 + 4 * 20 + 7

    private let path: String
    private let durability: Durability
    private let file: AppendedFile
    private let hasFailed = Mutex(false)

    /// Opens the file at `path` for appending and makes it if it is not there. If it ends within a line, which a failed
    /// write leaves behind, that line is closed first: it counts as torn, and what follows is whole.
    ///
    /// Throws ``HistoryError/Code/file`` when that fails.
    public init(appendingTo path: String, durability: Durability = .process) throws(HistoryError) {
        self.path = path
        self.durability = durability
        file = try AppendedFile(path)
        guard try file.endsWithin(line: UInt8(ascii: "\n")) else { return }
        try file.write([Self.tornEnd, UInt8(ascii: "\n")])
    }

    /// Writes one effect. When this returns it is as durable as asked; after an error nothing is known, and every later
    /// call fails. To be called once the effect has happened and before anybody is told that the message is done.
    ///
    /// Throws ``HistoryError/Code/invalidEffect`` for a name that does not fit on a line, and ``HistoryError/Code/file``
    /// when writing fails.
    public func append(_ effect: Effect) throws(HistoryError) {
        let line = try Self.line(effect)
        let isOpen = hasFailed.withLock { !$0 }
        guard isOpen else { throw HistoryError(.file, "\(path): an earlier write failed, and its line may be torn") }
        do {
            try file.write(line)
            if durability == .machine { try file.synchronize() }
        } catch {
            hasFailed.withLock { $0 = true }
            throw error
        }
    }

    static func line(_ effect: Effect) throws(HistoryError) -> [UInt8] {
        for name in [effect.id, effect.partition.topic] where !isPrintable(name) {
            throw HistoryError(
                .invalidEffect,
                "a name of \(name.utf8.count) bytes: it must have 1 to \(maximumNameBytes), no tab and no newline"
            )
        }
        let fields: [any CustomStringConvertible] = [
            effect.id, effect.partition.topic, effect.partition.partition, effect.offset, effect.generation,
            effect.time,
        ]
        let content = Array(fields.map(\.description).joined(separator: "\t").utf8)
        return Array(checksum(content).utf8) + [UInt8(ascii: "\t")] + content + [UInt8(ascii: "\n")]
    }

    static func isPrintable(_ name: String) -> Bool {
        (1...maximumNameBytes).contains(name.utf8.count) && !name.utf8.contains { $0 == 9 || $0 == 10 }
    }

    static func checksum(_ content: [UInt8]) -> String {
        let digits = String(content.withUnsafeBytes { Checksum.xxh64($0) }, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
