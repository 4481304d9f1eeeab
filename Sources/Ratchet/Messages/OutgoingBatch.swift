/// Messages on their way to topics, already encoded: one buffer, so that neither the writer nor a sink encodes anything
/// again.
///
/// A value; appending costs a copy of the bytes and nothing else. Everything is checked on the way in, so what a batch
/// holds can be written as it is.
public struct OutgoingBatch: Sendable {
    /// The largest record, in bytes: 64 MiB, over any broker's limit. Topics set their own, lower one.
    public static let maximumRecordSize = 64 << 20

    private static let fewTopics = 16

    package struct Entry: Sendable {
        package var topic: Int32
        package var partition: Int32
        package var start: Int
        package var end: Int
        /// Whether it is gone after the broker was restarted.
        package var isTransient = false
    }

    package private(set) var bytes: [UInt8] = []
    package private(set) var entries: [Entry] = []
    /// The topics named so far, in order of first use.
    public private(set) var topics: [String] = []
    /// For each topic the first message that names it.
    private var firstUses: [Int] = []
    /// The topics' numbers, once they are too many to be looked through.
    private var numbers: [String: Int32] = [:]

    /// An empty batch.
    public init() {}

    /// A batch of `messages`, in order; throws what ``append(_:)`` throws.
    public init(_ messages: some Sequence<OutgoingMessage>) throws(MessageError) {
        for message in messages { try append(message) }
    }

    /// How many messages it holds.
    public var count: Int { entries.count }
    /// Whether it holds none.
    public var isEmpty: Bool { entries.isEmpty }
    /// The encoded size in bytes.
    public var byteCount: Int { bytes.count }

    /// Makes room for `messages` more of `bytes` bytes in all.
    public mutating func reserve(messages: Int, bytes: Int) {
        entries.reserveCapacity(entries.count + messages)
        self.bytes.reserveCapacity(self.bytes.count + bytes)
    }

    /// Appends one message. Throws ``MessageError`` for an empty key, an invalid header, a topic without a name or more
    /// than ``maximumRecordSize`` bytes, and then appends nothing.
    public mutating func append(_ message: OutgoingMessage) throws(MessageError) {
        try append(
            to: message.topic,
            key: message.key,
            payload: message.payload,
            headers: message.headers,
            partition: message.partition,
            isPersistent: message.isPersistent
        )
    }

    /// Appends one message from its parts; `timestamp` is in milliseconds since 1970, nil for the broker's own at
    /// append.
    public mutating func append(
        to topic: String,
        key: [UInt8]?,
        payload: [UInt8],
        headers: [Header] = [],
        partition: Int? = nil,
        timestamp: Int64? = nil,
        isPersistent: Bool = true
    ) throws(MessageError) {
        let size = payload.count + (key?.count ?? 0) + RecordLayout.size(of: headers) + RecordLayout.fixedSize
        guard size <= Self.maximumRecordSize else {
            throw MessageError(.tooLarge, "\(size) bytes for topic '\(topic)', at most \(Self.maximumRecordSize)")
        }
        if let key, key.isEmpty {
            throw MessageError(.emptyKey, "a message for topic '\(topic)' has a key of no bytes; use nil for no key")
        }
        for header in headers where header.name.isEmpty || header.name.utf8.count > RecordLayout.maximumHeaderName {
            throw MessageError(.invalidHeader, "a name of \(header.name.utf8.count) bytes for topic '\(topic)'")
        }
        guard (1...Int(UInt16.max)).contains(topic.utf8.count) else {
            throw MessageError(.unknownTopic, "a topic's name has 1 to 65,535 bytes, not \(topic.utf8.count)")
        }
        if let partition, partition < 0 || partition > Int(Int32.max) {
            throw MessageError(.unknownPartition, "\(topic)/\(partition)")
        }
        let start = bytes.count
        payload.withUnsafeBytes { payload in
            if let key {
                key.withUnsafeBytes {
                    bytes.appendRecord(key: $0, headers: headers, payload: payload, timestamp: timestamp ?? -1)
                }
            } else {
                bytes.appendRecord(key: nil, headers: headers, payload: payload, timestamp: timestamp ?? -1)
            }
        }
        entries.append(
            Entry(
                topic: index(of: topic),
                partition: Int32(partition ?? -1),
                start: start,
                end: bytes.count,
                isTransient: !isPersistent
            )
        )
    }

    /// Appends a record that is encoded already: one entry of another batch, or of the outbox.
    package mutating func append(record: UnsafeRawBufferPointer, to topic: String, partition: Int32) {
        let start = bytes.count
        bytes.append(contentsOf: record)
        entries.append(Entry(topic: index(of: topic), partition: partition, start: start, end: bytes.count))
    }

    /// Forgets everything after the first `count` messages.
    package mutating func truncate(to count: Int) {
        guard count < entries.count else { return }
        bytes.removeSubrange(entries[count].start...)
        entries.removeSubrange(count...)
        while let first = firstUses.last, first >= count {
            firstUses.removeLast()
            numbers[topics.removeLast()] = nil
        }
    }

    private mutating func index(of topic: String) -> Int32 {
        // Nearly always the last topic again; a batch names few.
        if let last = topics.last, last == topic { return Int32(topics.count - 1) }
        if topics.count <= Self.fewTopics {
            if let known = topics.firstIndex(of: topic) { return Int32(known) }
        } else if let known = numbers[topic] {
            return known
        }
        topics.append(topic)
        firstUses.append(entries.count)
        if topics.count > Self.fewTopics {
            for number in numbers.count..<topics.count { numbers[topics[number]] = Int32(number) }
        }
        return Int32(topics.count - 1)
    }
}

extension OutgoingBatch {
    /// Appends message `index` of another batch.
    package mutating func append(entry index: Int, of other: OutgoingBatch) {
        let entry = other.entries[index]
        other.bytes.withUnsafeBytes {
            append(
                record: UnsafeRawBufferPointer(rebasing: $0[entry.start..<entry.end]),
                to: other.topics[Int(entry.topic)],
                partition: entry.partition
            )
            entries[entries.count - 1].isTransient = entry.isTransient
        }
    }
}
