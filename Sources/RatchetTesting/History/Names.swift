/// A message of a ``History``: what has its effect once, under whatever offsets it comes.
public struct MessageID: Hashable, Sendable {
    /// No message: the event is of a partition, or of the whole history.
    public static let none = MessageID(number: .max)

    let number: UInt32
}

/// A partition of a ``History``, or a channel of a queue.
public struct PartitionID: Hashable, Sendable {
    /// No partition.
    public static let none = PartitionID(number: .max)

    let number: UInt16
}

/// A producer of a ``History``: whatever promises that its messages lie in the log in the order of its sends.
/// Callers that send at once, in no order of their own, are producers of their own.
public struct ProducerID: Hashable, Sendable {
    let number: UInt32
}

/// A key within a partition of a ``History`` whose messages are handled one after another.
public struct OrderedKeyID: Hashable, Sendable {
    /// No key: the message is handled in no order.
    public static let none = OrderedKeyID(number: .max)

    let number: UInt32
}

/// How a partition's messages are settled.
public enum PartitionKind: UInt8, Hashable, Sendable {
    /// By position: a commit settles everything before it, and the same offset is the same record for ever.
    case log
    /// One by one: by an ack. Offsets are delivery tags, which mean nothing once their channel is closed.
    case queue
}

/// Names, each with its number: dense, from 0, in the order of first use.
struct Interner<Name: Hashable & Sendable>: Sendable {
    private var numbers: [Name: UInt32] = [:]
    private(set) var names: [Name] = []

    mutating func number(of name: Name) -> UInt32 {
        if let number = numbers[name] { return number }
        let number = UInt32(names.count)
        precondition(number < .max, "a history holds less than \(UInt32.max) names of a sort")
        numbers[name] = number
        names.append(name)
        return number
    }

    func find(_ name: Name) -> UInt32? { numbers[name] }
}

/// Which of a handler's effects it is.
struct EffectName: Hashable, Sendable {
    let text: String
    /// No crash of the program takes it back, and nothing but the program's care keeps it from happening again.
    let isOutside: Bool
}

/// A key's name: the same key in two partitions is two.
struct OrderedKeyName: Hashable, Sendable {
    let key: String
    let partition: PartitionID
}

/// Why a history could not be added to.
public struct HistoryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of fault.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name.
        public let description: String
        /// The history has as many partitions as it can hold.
        public static let tooManyPartitions = Code(description: "too many partitions")
        /// An effect's id or topic is empty, too long or not printable on one line.
        public static let invalidEffect = Code(description: "invalid effect")
        /// A file could not be opened, read or written, or holds too much.
        public static let file = Code(description: "file")
        /// A file is not what was written to it.
        public static let damaged = Code(description: "damaged")
    }

    /// The kind of fault.
    public let code: Code
    /// What was wrong, where, and what to do.
    public let detail: String

    init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    /// `code: detail`.
    public var description: String { "\(code): \(detail)" }
}
