#if BrokenVariants
    import LMDB
#endif

/// Consecutive messages of one partition, as one contiguous buffer: what a source fetched at once.
///
/// Immutable; a ``Message`` is a reference to its batch plus an index, and reads in place.
public final class MessageBatch: @unchecked Sendable {
    /// The partition that all messages are of.
    public let partition: TopicPartition
    /// The generation of the assignment under which it was fetched.
    public let generation: Int64
    /// The offset from which the source read. What lies between it and the first message does not exist: a log has
    /// holes.
    public let startOffset: Int64
    /// How many messages it holds: at least one.
    public let count: Int

    /// How often each message was delivered, this time included; nil where the source does not count.
    package let deliveryCounts: [Int32]?

    // Allocated once, written before the initialiser returns and never again: that makes the class safe to share.
    private let storage: UnsafeMutableRawBufferPointer
    private let records: UnsafeMutableBufferPointer<UInt32>
    private let offsets: UnsafeMutableBufferPointer<Int64>

    /// A batch of `count` records of at most `byteCount` bytes in all; `fill` writes them, one after the other, and
    /// tells each one's offset by the closure it is given. Throws ``MessageError/Code/malformed`` unless exactly
    /// `count` well-formed records with rising offsets from `startOffset` on were written; the lengths in them are
    /// checked before anything is read by them.
    package init(
        partition: TopicPartition,
        generation: Int64,
        startOffset: Int64,
        count: Int,
        byteCount: Int,
        deliveryCounts: [Int32]? = nil,
        fill: (_ bytes: UnsafeMutableRawBufferPointer, _ offsets: UnsafeMutableBufferPointer<Int64>) throws -> Void
    ) throws {
        self.partition = partition
        self.generation = generation
        self.startOffset = startOffset
        self.count = count
        self.deliveryCounts = deliveryCounts
        storage = .allocate(byteCount: max(byteCount, 1), alignment: 8)
        records = .allocate(capacity: max(count, 1))
        offsets = .allocate(capacity: max(count, 1))
        records.initialize(repeating: 0)
        offsets.initialize(repeating: 0)
        guard count > 0, byteCount <= Int(UInt32.max), deliveryCounts.map({ $0.count == count }) ?? true else {
            throw MessageError(.malformed, "a batch of \(count) messages in \(byteCount) bytes")
        }
        try fill(storage, offsets)
        try index()
    }

    private func index() throws {
        var at = 0
        var previous = startOffset - 1
        let bytes = UnsafeRawBufferPointer(storage)
        for index in 0..<count {
            records[index] = UInt32(at)
            let parts = try RecordLayout.parts(of: bytes, at: at)
            if !parts.headers.isEmpty {
                let headers = UnsafeRawBufferPointer(rebasing: bytes[parts.headers])
                guard RecordLayout.forEachHeader(in: headers, { _, _ in true }) else {
                    throw MessageError(.malformed, "the headers of offset \(offsets[index]) in \(partition)")
                }
            }
            at = parts.end
            guard offsets[index] > previous else {
                throw MessageError(.malformed, "offset \(offsets[index]) after \(previous) in \(partition)")
            }
            previous = offsets[index]
        }
    }

    deinit {
        storage.deallocate()
        records.deallocate()
        offsets.deallocate()
    }

    /// The message at `index`, in `0..<count`.
    public subscript(index: Int) -> Message { Message(batch: self, index: index) }

    /// The offset of the message at `index`, in `0..<count`.
    public func offset(at index: Int) -> Int64 { offsets[index] }

    /// The offset of the last message.
    public var lastOffset: Int64 { offsets[count - 1] }

    /// The size of all records, in bytes.
    public var byteCount: Int { storage.count }

    /// What message `index` settles when it is done: the offsets from the end of the message before it to its own,
    /// holes included.
    package func coveredOffsets(at index: Int) -> Range<Int64> {
        #if BrokenVariants
            if BrokenVariant.prefixByOffset.isOn { return offsets[index]..<offsets[index] + 1 }
        #endif
        let start = index == 0 ? startOffset : offsets[index - 1] + 1
        return start..<offsets[index] + 1
    }

    /// The record at `index`, encoded as ``RecordLayout`` says.
    package func record(at index: Int) -> UnsafeRawBufferPointer {
        let start = Int(records[index])
        let size = Int(UInt32(littleEndian: storage.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(storage)[start..<start + size])
    }

    /// The parts of the record at `index`, relative to ``record(at:)``. The lengths were checked when the batch was
    /// made.
    package func parts(at index: Int) -> (
        key: UnsafeRawBufferPointer?, headers: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer
    ) {
        let record = record(at: index)
        let keyLength = Int(Int32(littleEndian: record.loadUnaligned(fromByteOffset: 4, as: Int32.self)))
        let headersLength = Int(UInt32(littleEndian: record.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
        let headers = RecordLayout.fixedSize + max(keyLength, 0)
        let payload = headers + headersLength
        return (
            keyLength < 0 ? nil : UnsafeRawBufferPointer(rebasing: record[RecordLayout.fixedSize..<headers]),
            UnsafeRawBufferPointer(rebasing: record[headers..<payload]),
            UnsafeRawBufferPointer(rebasing: record[payload...])
        )
    }

    /// A digest of the record at `index`, key, headers, payload and timestamp: tells whether an offset still holds the
    /// same record.
    package func digest(at index: Int) -> UInt64 {
        Checksum.xxh64(record(at: index), seed: UInt64(bitPattern: offsets[index]))
    }
}
