/// The encoding of an outbox entry: the messages of one commit, each in the broker's own encoding.
///
///     version u8 | zero u8 | topics u16 | count u32 | (length u16 | topic)* | (topic u16 | partition i32 | record)* | xxh64 u64
package enum OutboxLayout {
    package static let version: UInt8 = 1

    package static func encode(_ batch: OutgoingBatch) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(batch.byteCount + batch.count * 6 + 64)
        bytes.append(version)
        bytes.append(0)
        bytes.appendLittleEndian(UInt16(batch.topics.count))
        bytes.appendLittleEndian(UInt32(batch.count))
        for topic in batch.topics {
            bytes.appendLittleEndian(UInt16(topic.utf8.count))
            bytes.append(contentsOf: topic.utf8)
        }
        batch.bytes.withUnsafeBytes { records in
            for entry in batch.entries {
                bytes.appendLittleEndian(UInt16(entry.topic))
                bytes.appendLittleEndian(entry.partition)
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: records[entry.start..<entry.end]))
            }
        }
        bytes.appendLittleEndian(bytes.withUnsafeBytes { Checksum.xxh64($0) })
        return bytes
    }

    /// How many messages an entry holds, by its own word; nil if it is too short for one.
    static func count(of bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= 16, bytes[0] == version else { return nil }
        return Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    }

    /// Appends the entry's messages to `batch`; returns how many, nil if the bytes are not an entry.
    package static func decode(_ bytes: UnsafeRawBufferPointer, into batch: inout OutgoingBatch) -> Int? {
        guard bytes.count >= 16 else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 8)])
        let sum = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: body.count, as: UInt64.self))
        guard sum == Checksum.xxh64(body) else { return nil }
        var reader = ByteReader(body)
        guard reader.integer(UInt8.self) == version, reader.integer(UInt8.self) == 0,
            let topicCount: UInt16 = reader.integer(),
            let count: UInt32 = reader.integer()
        else { return nil }
        var topics: [String] = []
        for _ in 0..<topicCount {
            guard let length: UInt16 = reader.integer(), let name = reader.bytes(Int(length)) else { return nil }
            topics.append(String(decoding: name, as: UTF8.self))
        }
        for _ in 0..<count {
            guard let topic: UInt16 = reader.integer(), let partition: Int32 = reader.integer(),
                Int(topic) < topics.count,
                let parts = try? RecordLayout.parts(of: body, at: reader.at),
                let record = reader.bytes(parts.end - reader.at)
            else { return nil }
            batch.append(record: record, to: topics[Int(topic)], partition: partition)
        }
        return Int(count)
    }
}
