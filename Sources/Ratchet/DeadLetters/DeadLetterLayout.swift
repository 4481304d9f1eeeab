/// The encoding of a dead letter in the ledger's table `deadletters`.
///
///     version u8 | reason u8 | attempts u32 | offset i64 | time i64 | generation i64 | partition i32
///     | topic | group | errorType | errorMessage | ledger | epoch | idempotencyKey | record  (each behind its length, u32)
///     | deliveryCount u32 | listed u32 | (partition i32 | offset i64 | topic)* | xxh64 u64
///
/// The checksum is seeded with the letter's number.
package enum DeadLetterLayout {
    package static let version: UInt8 = 1
    /// The longest error text that is kept, in bytes.
    package static let maximumErrorLength = 16_384

    package static func encode(_ letter: DeadLetter) -> [UInt8] {
        var bytes: [UInt8] = [version, letter.reason.rawValue]
        bytes.appendLittleEndian(UInt32(clamping: letter.attempts))
        bytes.appendLittleEndian(letter.offset)
        bytes.appendLittleEndian(letter.time)
        bytes.appendLittleEndian(letter.generation)
        bytes.appendLittleEndian(Int32(clamping: letter.partition.partition))
        for text in [
            letter.partition.topic, letter.group, letter.errorType, letter.errorMessage, letter.ledger, letter.epoch,
        ] {
            bytes.appendBlock(Array(text.utf8.prefix(maximumErrorLength)))
        }
        bytes.appendBlock(letter.idempotencyKey?.stored ?? [])
        var record: [UInt8] = []
        letter.payload.withUnsafeBytes { payload in
            if let key = letter.key {
                key.withUnsafeBytes {
                    record.appendRecord(key: $0, headers: letter.headers, payload: payload, timestamp: letter.timestamp)
                }
            } else {
                record.appendRecord(key: nil, headers: letter.headers, payload: payload, timestamp: letter.timestamp)
            }
        }
        bytes.appendBlock(record)
        bytes.appendLittleEndian(UInt32(clamping: letter.deliveryCount))
        bytes.appendLittleEndian(UInt32(letter.deliveries.count))
        for delivery in letter.deliveries {
            bytes.appendLittleEndian(Int32(clamping: delivery.partition.partition))
            bytes.appendLittleEndian(delivery.offset)
            bytes.appendBlock(delivery.partition.topic.utf8)
        }
        bytes.appendLittleEndian(bytes.withUnsafeBytes { Checksum.xxh64($0, seed: letter.id) })
        return bytes
    }

    /// The dead letter in `bytes`, nil if they are not the one of that number.
    package static func decode(_ bytes: UnsafeRawBufferPointer, id: UInt64) -> DeadLetter? {
        guard bytes.count > 8 else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 8)])
        let sum = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: body.count, as: UInt64.self))
        guard sum == Checksum.xxh64(body, seed: id) else { return nil }
        var reader = ByteReader(body)
        guard reader.integer(UInt8.self) == version,
            let reason = reader.integer().flatMap(DeadLetter.Reason.init(rawValue:)),
            let attempts: UInt32 = reader.integer(), let offset: Int64 = reader.integer(),
            let time: Int64 = reader.integer(),
            let generation: Int64 = reader.integer(), let partition: Int32 = reader.integer(),
            let topic = reader.text(),
            let group = reader.block(), let errorType = reader.block(), let errorMessage = reader.block(),
            let ledger = reader.text(), let epoch = reader.text(), let key = reader.block(),
            let record = reader.block(),
            let content = content(of: record), let deliveryCount: UInt32 = reader.integer(),
            let listed: UInt32 = reader.integer()
        else { return nil }
        var deliveries: [DeadLetter.Delivery] = []
        for _ in 0..<listed {
            guard let partition: Int32 = reader.integer(), let offset: Int64 = reader.integer(),
                let topic = reader.text()
            else {
                return nil
            }
            deliveries.append(.init(partition: TopicPartition(topic, Int(partition)), offset: offset))
        }
        return DeadLetter(
            id: id,
            reason: reason,
            partition: TopicPartition(topic, Int(partition)),
            offset: offset,
            key: content.key,
            headers: content.headers,
            payload: content.payload,
            timestamp: content.timestamp,
            idempotencyKey: key.isEmpty ? nil : IdempotencyKey(stored: key),
            attempts: Int(attempts),
            errorType: String(decoding: errorType, as: UTF8.self),
            errorMessage: String(decoding: errorMessage, as: UTF8.self),
            time: time,
            group: String(decoding: group, as: UTF8.self),
            generation: generation,
            ledger: ledger,
            epoch: epoch,
            deliveries: deliveries,
            deliveryCount: Int(deliveryCount)
        )
    }

    private static func content(
        of record: [UInt8]
    ) -> (key: [UInt8]?, headers: [Header], payload: [UInt8], timestamp: Int64)? {
        record.withUnsafeBytes { bytes in
            guard let parts = try? RecordLayout.parts(of: bytes, at: 0) else { return nil }
            var headers: [Header] = []
            let whole = RecordLayout.forEachHeader(in: UnsafeRawBufferPointer(rebasing: bytes[parts.headers])) {
                name,
                value in
                headers.append(Header(String(decoding: name, as: UTF8.self), Array(value)))
                return true
            }
            guard whole else { return nil }
            return (parts.key.map { Array(bytes[$0]) }, headers, Array(bytes[parts.payload]), parts.timestamp)
        }
    }
}
