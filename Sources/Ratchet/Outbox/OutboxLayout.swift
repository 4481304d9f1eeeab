/// The encoding of an outbox entry: messages of one commit, each in the broker's own encoding.
///
///     version u8 | zero u8 | topics u16 | count u32 | (length u16 | topic)* | (topic u16 | partition i32 | record)* | xxh64 u64
///
/// The checksum is seeded with the entry's number.
///
/// A commit that publishes more than an entry may hold makes several.
package enum OutboxLayout {
    package static let version: UInt8 = 1
    /// The most messages in an entry, so that two bytes number their topics.
    package static let maximumMessages = Int(UInt16.max)
    /// The most bytes of messages and topics in an entry, unless a single message has more: an entry stays until its
    /// last message is confirmed.
    package static let maximumSize = 4 << 20

    /// Calls `body` with each of the entries that hold the messages of `batch`, in order and numbered from `first`;
    /// returns the number after the last one's.
    @discardableResult
    package static func encode(
        _ batch: OutgoingBatch,
        from first: UInt64,
        _ body: (UInt64, [UInt8]) throws -> Void
    ) rethrows -> UInt64 {
        var number = first
        var start = 0
        while start < batch.count {
            let end = end(ofEntryFrom: start, in: batch)
            try body(number, encode(start..<end, of: batch, as: number))
            number += 1
            start = end
        }
        return number
    }

    private static func end(ofEntryFrom start: Int, in batch: OutgoingBatch) -> Int {
        let topics = batch.topics.reduce(0) { $0 + $1.utf8.count }
        if batch.count <= maximumMessages, batch.byteCount + topics <= maximumSize { return batch.count }
        var end = start
        var size = 0
        while end < batch.count, end - start < maximumMessages {
            let entry = batch.entries[end]
            // Each message is charged with its topic, though the entry names it once.
            size += entry.end - entry.start + batch.topics[Int(entry.topic)].utf8.count
            if end > start, size > maximumSize { break }
            end += 1
        }
        return end
    }

    private static func encode(_ range: Range<Int>, of batch: OutgoingBatch, as number: UInt64) -> [UInt8] {
        let entries = batch.entries[range]
        let (topics, numbers) = self.number(topicsOf: entries, in: batch)
        var bytes: [UInt8] = []
        let records = (entries.last?.end ?? 0) - (entries.first?.start ?? 0)
        bytes.reserveCapacity(records + entries.count * 6 + topics.reduce(64) { $0 + $1.utf8.count + 2 })
        bytes.append(version)
        bytes.append(0)
        bytes.appendLittleEndian(UInt16(topics.count))
        bytes.appendLittleEndian(UInt32(entries.count))
        for topic in topics {
            bytes.appendLittleEndian(UInt16(topic.utf8.count))
            bytes.append(contentsOf: topic.utf8)
        }
        batch.bytes.withUnsafeBytes { records in
            for entry in entries {
                bytes.appendLittleEndian(numbers[Int(entry.topic)])
                bytes.appendLittleEndian(entry.partition)
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: records[entry.start..<entry.end]))
            }
        }
        bytes.appendLittleEndian(bytes.withUnsafeBytes { Checksum.xxh64($0, seed: number) })
        return bytes
    }

    /// The topics that these messages name, and the batch's topics' numbers among them.
    private static func number(
        topicsOf entries: ArraySlice<OutgoingBatch.Entry>,
        in batch: OutgoingBatch
    ) -> (topics: [String], numbers: [UInt16]) {
        // No topic has this number: there are no more of them than messages.
        let none = UInt16.max
        var topics: [String] = []
        var numbers = [UInt16](repeating: none, count: batch.topics.count)
        for entry in entries where numbers[Int(entry.topic)] == none {
            numbers[Int(entry.topic)] = UInt16(topics.count)
            topics.append(batch.topics[Int(entry.topic)])
        }
        return (topics, numbers)
    }
}

// MARK: Reading

extension OutboxLayout {
    /// How many messages entry `number` holds; nil if the bytes are not that entry.
    static func count(of bytes: UnsafeRawBufferPointer, number: UInt64) -> Int? {
        guard body(of: bytes, number: number) != nil, bytes[0] == version else { return nil }
        return Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    }

    /// Appends the messages of entry `number` to `items`; false if the bytes are not an entry.
    static func scan(_ bytes: UnsafeRawBufferPointer, of number: UInt64, into items: inout [OutboxItem]) -> Bool {
        guard let body = body(of: bytes, number: number) else { return false }
        var reader = ByteReader(body)
        guard reader.integer(UInt8.self) == version, reader.integer(UInt8.self) == 0,
            let topicCount: UInt16 = reader.integer(),
            let count: UInt32 = reader.integer(), count > 0
        else { return false }
        var topics: [(offset: Int, hash: UInt64)] = []
        for _ in 0..<topicCount {
            let offset = reader.at
            guard let length: UInt16 = reader.integer(), let name = reader.bytes(Int(length)) else { return false }
            topics.append((offset, Checksum.xxh64(name)))
        }
        for _ in 0..<count {
            let offset = reader.at
            guard let topic: UInt16 = reader.integer(), let partition: Int32 = reader.integer(),
                Int(topic) < topics.count,
                let parts = try? RecordLayout.parts(of: body, at: reader.at),
                reader.bytes(parts.end - reader.at) != nil
            else { return false }
            let (name, hash) = topics[Int(topic)]
            let key = parts.key.map { UnsafeRawBufferPointer(rebasing: body[$0]) }
            items.append(
                OutboxItem(
                    entry: number,
                    lane: lane(topic: hash, partition: partition, key: key, at: (number, offset)),
                    topic: UInt32(name),
                    offset: UInt32(offset),
                    size: UInt32(parts.end - offset)
                )
            )
        }
        return true
    }

    private static func body(of bytes: UnsafeRawBufferPointer, number: UInt64) -> UnsafeRawBufferPointer? {
        guard bytes.count >= 16, bytes.count <= Int(UInt32.max) else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 8)])
        let sum = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: body.count, as: UInt64.self))
        return sum == Checksum.xxh64(body, seed: number) ? body : nil
    }

    private static func lane(
        topic: UInt64,
        partition: Int32,
        key: UnsafeRawBufferPointer?,
        at place: (entry: UInt64, offset: Int)
    ) -> UInt64 {
        let seed = topic &+ UInt64(bitPattern: Int64(partition))
        if let key { return Checksum.xxh64(key, seed: seed) }
        // Without a key there is no order to keep, unless the partition was chosen.
        guard partition < 0 else { return Checksum.xxh64(UnsafeRawBufferPointer(start: nil, count: 0), seed: seed) }
        return withUnsafeBytes(of: (place.entry, UInt64(place.offset))) { Checksum.xxh64($0, seed: ~seed) }
    }

    /// Appends a message that ``scan(_:of:into:)`` has found in these bytes to `batch`, as one for `topic` if that is
    /// known; returns its topic, nil if there is no such message.
    static func append(
        _ item: OutboxItem,
        of bytes: UnsafeRawBufferPointer,
        topic: String?,
        to batch: inout OutgoingBatch
    ) -> String? {
        guard let topic = topic ?? name(at: Int(item.topic), of: bytes), item.size > 6,
            let message = part(of: bytes, at: Int(item.offset), count: Int(item.size)),
            let parts = try? RecordLayout.parts(of: message, at: 6), parts.end == message.count
        else { return nil }
        let partition = Int32(littleEndian: message.loadUnaligned(fromByteOffset: 2, as: Int32.self))
        batch.append(record: UnsafeRawBufferPointer(rebasing: message[6...]), to: topic, partition: partition)
        return topic
    }

    private static func name(at offset: Int, of bytes: UnsafeRawBufferPointer) -> String? {
        guard let field = part(of: bytes, at: offset, count: 2) else { return nil }
        let length = Int(UInt16(littleEndian: field.loadUnaligned(as: UInt16.self)))
        return part(of: bytes, at: offset + 2, count: length).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func part(of bytes: UnsafeRawBufferPointer, at offset: Int, count: Int) -> UnsafeRawBufferPointer? {
        guard offset <= bytes.count, count <= bytes.count - offset else { return nil }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }
}
