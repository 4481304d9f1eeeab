/// One message of a partition: a reference to the batch it came in, read in place.
public struct Message: Sendable {
    package let batch: MessageBatch
    package let index: Int

    /// The topic's name.
    public var topic: String { batch.partition.topic }
    /// The partition's number.
    public var partition: Int { batch.partition.partition }
    /// The topic and partition.
    public var topicPartition: TopicPartition { batch.partition }
    /// The offset within the partition.
    public var offset: Int64 { batch.offset(at: index) }
    /// The generation of the assignment under which it was delivered.
    public var generation: Int64 { batch.generation }

    /// How often it was delivered, this time included, as far as the queue knows; nil from a log.
    public var deliveryCount: Int? { batch.deliveryCounts.map { Int($0[index]) } }

    /// When it was produced or appended, in milliseconds since 1970.
    public var timestamp: Int64 {
        Int64(
            littleEndian: batch.record(at: index).loadUnaligned(
                fromByteOffset: RecordLayout.timestampOffset,
                as: Int64.self
            )
        )
    }

    /// A copy of the key, nil if it has none.
    public var key: [UInt8]? { batch.parts(at: index).key.map { Array($0) } }

    /// A copy of the payload.
    public var payload: [UInt8] { Array(batch.parts(at: index).payload) }

    /// The payload as text, with invalid UTF-8 replaced.
    public var text: String { String(decoding: batch.parts(at: index).payload, as: UTF8.self) }

    /// Copies of all headers, in order.
    public var headers: [Header] {
        var headers: [Header] = []
        forEachHeader { name, value in
            headers.append(Header(String(decoding: name, as: UTF8.self), Array(value)))
            return true
        }
        return headers
    }

    /// A copy of the first header of that name, nil if there is none.
    public func header(_ name: String) -> [UInt8]? {
        withHeader(name) { value in value.map { Array($0) } }
    }

    /// Calls `body` with the payload in place; it is valid within the call only.
    public func withPayload<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        try body(batch.parts(at: index).payload.bytes)
    }

    /// Calls `body` with the key in place, nil if there is none; it is valid within the call only.
    public func withKey<R, E: Error>(_ body: (RawSpan?) throws(E) -> R) throws(E) -> R {
        guard let key = batch.parts(at: index).key else { return try body(nil) }
        return try body(key.bytes)
    }

    package func withPayloadBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try body(batch.parts(at: index).payload)
    }

    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer?) throws(E) -> R) throws(E) -> R {
        try body(batch.parts(at: index).key)
    }

    package func withHeader<R>(_ name: String, _ body: (UnsafeRawBufferPointer?) throws -> R) rethrows -> R {
        var name = name
        var found: UnsafeRawBufferPointer?
        name.withUTF8 { wanted in
            let wanted = UnsafeRawBufferPointer(wanted)
            forEachHeader { name, value in
                guard name.elementsEqual(wanted) else { return true }
                found = value
                return false
            }
        }
        return try body(found)
    }

    private func forEachHeader(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool) {
        RecordLayout.forEachHeader(in: batch.parts(at: index).headers, body)
    }
}
