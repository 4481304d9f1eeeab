/// Idempotency keys of one batch, packed: for ``Ledger/remember(_:)``.
public struct KeyBatch: Sendable {
    /// The most keys of one batch.
    public static let maximumCount = 32_768

    package private(set) var stored: [UInt8] = []
    package private(set) var ends: [UInt32] = []
    /// Whose keys they are, where they are those of messages that another ledger has done; else nil.
    package private(set) var passed: Passed?

    /// Where the keys' messages lie.
    package struct Passed: Sendable {
        package let partition: TopicPartition
        /// Each key's.
        package fileprivate(set) var offsets: [Int64] = []
    }

    /// An empty batch, with room for `count` keys.
    public init(reserving count: Int = 0) {
        stored.reserveCapacity(count * 24)
        ends.reserveCapacity(count)
    }

    /// The keys of messages of a partition that another ledger has done.
    package init(passedIn partition: TopicPartition) { passed = Passed(partition: partition) }

    /// How many keys it holds.
    public var count: Int { ends.count }

    /// Appends a key. Throws ``IdempotencyKeyError/empty``; more than ``maximumCount`` keys are a programming error.
    public mutating func append(_ key: UnsafeRawBufferPointer) throws(IdempotencyKeyError) {
        guard !key.isEmpty else { throw .empty }
        precondition(count < Self.maximumCount, "a key batch holds \(Self.maximumCount) keys at the most")
        stored.appendIdempotencyKey(key)
        ends.append(UInt32(stored.count))
    }

    /// Appends a key of text. Throws ``IdempotencyKeyError/empty``.
    public mutating func append(_ key: String) throws(IdempotencyKeyError) {
        try append(IdempotencyKey(key))
    }

    /// Appends a key.
    public mutating func append(_ key: IdempotencyKey) {
        precondition(count < Self.maximumCount, "a key batch holds \(Self.maximumCount) keys at the most")
        stored.append(contentsOf: key.stored)
        ends.append(UInt32(stored.count))
    }

    /// Appends the key of the message at `offset`, which `append` appends in its stored form.
    package mutating func append(offset: Int64, _ append: (inout [UInt8]) -> Void) {
        precondition(count < Self.maximumCount, "a key batch holds \(Self.maximumCount) keys at the most")
        append(&stored)
        ends.append(UInt32(stored.count))
        passed?.offsets.append(offset)
    }
}
