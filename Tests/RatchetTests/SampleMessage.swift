@testable import Ratchet

/// A message as a test writes it down, to be delivered in a batch.
struct SampleMessage: Hashable, Sendable {
    var offset: Int64
    var key: [UInt8]?
    var headers: [Header] = []
    var payload: [UInt8]
    var timestamp: Int64 = 1_000

    init(_ offset: Int64, key: String? = nil, id: String? = nil, _ payload: String = "") {
        self.offset = offset
        self.key = key.map { Array($0.utf8) }
        self.payload = Array(payload.utf8)
        if let id { headers = [.messageID(id)] }
    }

    /// The record as ``RecordLayout`` says.
    var record: [UInt8] {
        var record: [UInt8] = []
        payload.withUnsafeBytes { payload in
            if let key {
                key.withUnsafeBytes {
                    record.appendRecord(key: $0, headers: headers, payload: payload, timestamp: timestamp)
                }
            } else {
                record.appendRecord(key: nil, headers: headers, payload: payload, timestamp: timestamp)
            }
        }
        return record
    }
}

extension MessageBatch {
    /// A batch of samples, read from `start` on.
    convenience init(
        _ samples: [SampleMessage],
        of partition: TopicPartition = TopicPartition("orders", 0),
        generation: Int64 = 1,
        start: Int64? = nil,
        deliveries: Int32? = nil
    ) throws {
        let bytes = samples.flatMap(\.record)
        try self.init(
            partition: partition,
            generation: generation,
            startOffset: start ?? samples.first?.offset ?? 0,
            count: samples.count,
            byteCount: bytes.count,
            deliveryCounts: deliveries.map { Array(repeating: $0, count: samples.count) }
        ) { storage, offsets in
            storage.copyBytes(from: bytes)
            for (index, sample) in samples.enumerated() { offsets[index] = sample.offset }
        }
    }

    /// Batches of bytes that nobody has checked.
    convenience init(bytes: [UInt8], count: Int) throws {
        try self.init(
            partition: TopicPartition("orders", 0),
            generation: 1,
            startOffset: 0,
            count: count,
            byteCount: bytes.count
        ) { storage, offsets in
            storage.copyBytes(from: bytes)
            for index in 0..<max(count, 0) { offsets[index] = Int64(index) }
        }
    }
}
