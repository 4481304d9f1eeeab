/// A fetched batch with all that is needed to settle its messages: idempotency keys, fingerprints and the lease it came
/// under.
package final class KeyedBatch: @unchecked Sendable {
    /// A message that cannot reach its handler.
    package struct Fault: Error {
        package var reason: DeadLetter.Reason
        package var error: any Error
    }

    package let messages: MessageBatch
    package let lease: PartitionLease
    /// The decoded payloads, for the pipeline that made them.
    package let payloads: any AnyObject & Sendable
    /// What failed before the handler, by index.
    package let faults: [Int: Fault]
    private let keys: [UInt8]
    private let keyEnds: [UInt32]
    package let fingerprints: [UInt64]
    /// The messages' lanes, where handlers run in tasks and they are asked for several times; else empty.
    package let lanes: [UInt64]
    /// How many messages are not settled yet. The scheduler's.
    package var unsettled: Int
    /// Whether it counts as in flight. The scheduler's.
    package var isAdmitted = false

    /// `keys` holds the stored forms one after the other, ending at `keyEnds`; none of them for a pipeline by position
    /// only.
    package init(
        messages: MessageBatch,
        lease: PartitionLease,
        payloads: any AnyObject & Sendable,
        keys: [UInt8],
        keyEnds: [UInt32],
        fingerprints: [UInt64],
        faults: [Int: Fault],
        lanes: [UInt64] = []
    ) {
        self.payloads = payloads
        self.messages = messages
        self.lease = lease
        self.keys = keys
        self.keyEnds = keyEnds
        self.fingerprints = fingerprints
        self.faults = faults
        self.lanes = lanes
        unsettled = messages.count
    }

    /// Whether its messages have idempotency keys.
    package var isKeyed: Bool { !keyEnds.isEmpty }

    /// Calls `body` with the stored form of the key of message `index`; empty for a message whose key is at fault.
    @inline(__always)
    package func withKey<R>(at index: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try keys.withUnsafeBytes { keys in
            let start = index == 0 ? 0 : Int(keyEnds[index - 1])
            return try body(UnsafeRawBufferPointer(rebasing: keys[start..<Int(keyEnds[index])]))
        }
    }

    /// The key of message `index`, nil without one.
    package func key(at index: Int) -> IdempotencyKey? {
        guard isKeyed else { return nil }
        return withKey(at: index) { $0.isEmpty ? nil : IdempotencyKey(stored: Array($0)) }
    }
}
