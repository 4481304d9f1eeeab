import Ratchet

/// What a chunk says of an idempotent producer's batch within it: enough to tell a repeat of that batch from a new one,
/// wherever the chunk is copied to.
///
///     producer i64 | epoch i32 | first sequence i32 | last sequence i32 | first delta u32 | count u32
struct ProducerEntry: Equatable, Sendable {
    static let size = 28

    /// The producer's id.
    var producer: Int64
    /// Rises with each producer that takes the id over.
    var epoch: Int32
    /// The sequence numbers of the batch's first and last record in this partition.
    var sequences: ClosedRange<Int32>
    /// The distance of the batch's first record from the chunk's base offset.
    var delta: UInt32
    /// The batch's records in this chunk.
    var count: UInt32

    func put(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        bytes.storeBytes(of: producer.littleEndian, toByteOffset: offset, as: Int64.self)
        bytes.storeBytes(of: epoch.littleEndian, toByteOffset: offset + 8, as: Int32.self)
        bytes.storeBytes(of: sequences.lowerBound.littleEndian, toByteOffset: offset + 12, as: Int32.self)
        bytes.storeBytes(of: sequences.upperBound.littleEndian, toByteOffset: offset + 16, as: Int32.self)
        bytes.storeBytes(of: delta.littleEndian, toByteOffset: offset + 20, as: UInt32.self)
        bytes.storeBytes(of: count.littleEndian, toByteOffset: offset + 24, as: UInt32.self)
    }

    /// Nil when the bytes are no entry of a chunk of `span` offsets.
    init?(_ bytes: UnsafeRawBufferPointer, at offset: Int, span: Int) {
        func number<N: FixedWidthInteger>(_ distance: Int, _: N.Type) -> N {
            N(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + distance, as: N.self))
        }
        let (first, last) = (number(12, Int32.self), number(16, Int32.self))
        producer = number(0, Int64.self)
        epoch = number(8, Int32.self)
        delta = number(20, UInt32.self)
        count = number(24, UInt32.self)
        guard producer >= 0, epoch >= 0, 0 <= first, first <= last, Int(delta) + Int(count) <= span else { return nil }
        sequences = first...last
    }

    init(producer: Int64, epoch: Int32, sequences: ClosedRange<Int32>, delta: UInt32, count: UInt32) {
        self.producer = producer
        self.epoch = epoch
        self.sequences = sequences
        self.delta = delta
        self.count = count
    }
}

extension ChunkLayout {
    /// The entries about producers of a chunk whose header was read. Throws ``Damage``.
    static func entries(_ header: Header, in chunk: UnsafeRawBufferPointer) throws(Damage) -> [ProducerEntry] {
        var entries: [ProducerEntry] = []
        for at in stride(from: header.entries.lowerBound, to: header.entries.upperBound, by: ProducerEntry.size) {
            guard let entry = ProducerEntry(chunk, at: at, span: header.span) else {
                throw Damage(description: "entry \(entries.count) of its producers is none")
            }
            entries.append(entry)
        }
        return entries
    }
}
