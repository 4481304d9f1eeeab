import Ratchet

/// Names a part of what was decided: rises with each decision, and within it with each part.
struct RedoKey: Hashable, Comparable, Sendable {
    static let size = 12

    /// The decision's.
    var number: Int64
    var part: UInt32

    init(_ number: Int64, _ part: UInt32) {
        self.number = number
        self.part = part
    }

    /// Nil unless the bytes are such a key.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.size else { return nil }
        number = Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
        part = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(number)
        bytes.appendBigEndian(part)
        return bytes
    }

    static func < (a: RedoKey, b: RedoKey) -> Bool { (a.number, a.part) < (b.number, b.part) }
}

extension ProducerStamp {
    /// Producers with these ids are none that anybody has opened: what they send is decided.
    private static let firstDecided: Int64 = 1 << 61
    /// How many decisions one of them has: each is an epoch of its own.
    private static let epochBits: Int64 = 30

    /// The stamp of messages that the decision of that number has put into a partition. A partition gets its decisions
    /// in their order, so a later epoch there says that all earlier ones have come.
    init(decision number: Int64, sequences: ClosedRange<Int32>) {
        producer = Self.firstDecided + number >> Self.epochBits
        epoch = Int32(number & (1 << Self.epochBits - 1))
        self.sequences = sequences
    }

    /// Whether the producer's messages are decided: a partition refuses none of them.
    var isDecided: Bool { Self.isDecided(producer) }

    static func isDecided(_ producer: Int64) -> Bool { producer >= firstDecided }
}
