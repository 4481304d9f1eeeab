import Ratchet

/// A batch on its way into the log: its records lie side by side by partition, with their timestamps set, so that the
/// writer thread has nothing left to do but copy. Made on the sender's task.
final class RoutedBatch: @unchecked Sendable {
    /// Records of one partition, all of them persistent or transient.
    struct Segment {
        let log: PartitionLog
        let isTransient: Bool
        var count = 0
        var start = 0
        var size = 0
        var maximumTimestamp = Int64.min
    }

    /// Which segment a message is in and where in it.
    struct Place {
        let segment: Int32
        let index: Int32
    }

    /// A message that cannot be written.
    struct Fault {
        /// Its index in the batch.
        let index: Int
        let error: MessageError
    }

    let segments: [Segment]
    /// For each message of the batch, nil where it is at fault.
    let places: [Place?]
    /// The messages that are too large, or whose topic or partition does not exist, and those of their keys behind
    /// them; no segment holds them.
    let faults: [Fault]
    let byteCount: Int
    // Allocated once, written before the initialiser returns and never again: that makes the class safe to share.
    private let storage: UnsafeMutableRawBufferPointer

    /// Chooses the partitions and copies the records; `now` is the timestamp of those that have none. Topics' size limits
    /// are for clients: the broker's own messages go over them, with `limitsSizes` false.
    init(_ batch: OutgoingBatch, catalog: Catalog, now: Int64, limitsSizes: Bool = true) {
        byteCount = batch.byteCount
        storage = .allocate(byteCount: max(batch.byteCount, 1), alignment: 8)
        var routing = Routing(batch, catalog, limitsSizes)
        routing.copy(batch, to: storage, now: now)
        segments = routing.segments
        places = routing.places
        faults = routing.faults
    }

    /// Copies records that were routed before.
    init(records: UnsafeRawBufferPointer, count: Int, maximumTimestamp: Int64, to log: PartitionLog) {
        byteCount = records.count
        storage = .allocate(byteCount: max(records.count, 1), alignment: 8)
        storage.copyMemory(from: records)
        var segment = Segment(log: log, isTransient: false, count: count)
        (segment.size, segment.maximumTimestamp) = (records.count, maximumTimestamp)
        segments = [segment]
        places = []
        faults = []
    }

    deinit { storage.deallocate() }

    /// Some of a segment's records, one after the other.
    struct Part: Sendable {
        let batch: RoutedBatch
        /// Where they lie.
        let bytes: Range<Int>
        let count: Int
        let maximumTimestamp: Int64
        let isTransient: Bool

        var slice: ChunkWriter.Slice {
            let records = UnsafeRawBufferPointer(rebasing: batch.storage[bytes])
            return ChunkWriter.Slice(
                records: records,
                count: count,
                maximumTimestamp: maximumTimestamp,
                isTransient: isTransient
            )
        }
    }

    /// A segment as a whole.
    func part(_ index: Int) -> Part {
        let segment = segments[index]
        return Part(
            batch: self,
            bytes: segment.start..<segment.start + segment.size,
            count: segment.count,
            maximumTimestamp: segment.maximumTimestamp,
            isTransient: segment.isTransient
        )
    }

    /// A segment, divided so that no part has more than so many messages and bytes, unless it has only one.
    func parts(of index: Int, messages: Int, bytes: Int) -> [Part] {
        let whole = part(index)
        guard whole.count > messages || whole.bytes.count > bytes else { return [whole] }
        var parts: [Part] = []
        var (start, end, count) = (whole.bytes.lowerBound, whole.bytes.lowerBound, 0)
        func close() {
            parts.append(
                Part(
                    batch: self,
                    bytes: start..<end,
                    count: count,
                    maximumTimestamp: whole.maximumTimestamp,
                    isTransient: whole.isTransient
                )
            )
            (start, count) = (end, 0)
        }
        while end < whole.bytes.upperBound {
            let size = Int(UInt32(littleEndian: storage.loadUnaligned(fromByteOffset: end, as: UInt32.self)))
            if count == messages || count > 0 && end + size - start > bytes { close() }
            end += size
            count += 1
        }
        close()
        return parts
    }
}

/// A topic of the batch and a key, of which a message was not written.
private struct FailedKey: Hashable {
    let topic: Int32
    let key: [UInt8]

    /// Nil for a record without a key.
    init?(_ topic: Int32, _ record: UnsafeRawBufferPointer) {
        let length = Int(Int32(littleEndian: record.loadUnaligned(fromByteOffset: 4, as: Int32.self)))
        guard length >= 0 else { return nil }
        self.topic = topic
        key = Array(record[RecordLayout.fixedSize..<RecordLayout.fixedSize + length])
    }
}

/// A routed batch in the making.
private struct Routing {
    var segments: [RoutedBatch.Segment] = []
    var places: [RoutedBatch.Place?] = []
    var faults: [RoutedBatch.Fault] = []

    init(_ batch: OutgoingBatch, _ catalog: Catalog, _ limitsSizes: Bool) {
        var routes = batch.topics.map { Route(name: $0, topic: catalog[$0], limitsSizes) }
        var failed: [FailedKey: MessageError.Code] = [:]
        places.reserveCapacity(batch.count)
        batch.bytes.withUnsafeBytes { bytes in
            for entry in batch.entries {
                let record = UnsafeRawBufferPointer(rebasing: bytes[entry.start..<entry.end])
                do throws(MessageError) {
                    // Behind a message of its key that cannot be written it would come out of order.
                    if !failed.isEmpty, let code = FailedKey(entry.topic, record).flatMap({ failed[$0] }) {
                        throw MessageError(code, "it is behind a message of its key that was not written")
                    }
                    let segment = try routes[Int(entry.topic)].segment(of: record, entry, &segments)
                    places.append(.init(segment: Int32(segment), index: Int32(segments[segment].count)))
                    segments[segment].count += 1
                    segments[segment].size += record.count
                } catch {
                    let detail = "message \(places.count) of \(batch.count): \(error.detail)"
                    faults.append(.init(index: places.count, error: MessageError(error.code, detail)))
                    places.append(nil)
                    if let key = FailedKey(entry.topic, record) { failed[key] = error.code }
                }
            }
        }
    }

    mutating func copy(_ batch: OutgoingBatch, to storage: UnsafeMutableRawBufferPointer, now: Int64) {
        var ends: [Int] = []
        var total = 0
        for index in segments.indices {
            segments[index].start = total
            ends.append(total)
            total += segments[index].size
        }
        batch.bytes.withUnsafeBytes { bytes in
            for (entry, place) in zip(batch.entries, places) {
                guard let segment = place.map({ Int($0.segment) }) else { continue }
                let end = ends[segment]
                let size = entry.end - entry.start
                let record = UnsafeMutableRawBufferPointer(rebasing: storage[end..<end + size])
                record.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[entry.start..<entry.end]))
                ends[segment] = end + size
                let timestamp = Self.stamp(record, now)
                if timestamp > segments[segment].maximumTimestamp { segments[segment].maximumTimestamp = timestamp }
            }
        }
    }

    /// Sets the record's timestamp if it has none, and returns it.
    private static func stamp(_ record: UnsafeMutableRawBufferPointer, _ now: Int64) -> Int64 {
        let offset = RecordLayout.timestampOffset
        let timestamp = Int64(littleEndian: record.loadUnaligned(fromByteOffset: offset, as: Int64.self))
        guard timestamp == -1 else { return timestamp }
        record.storeBytes(of: now.littleEndian, toByteOffset: offset, as: Int64.self)
        return now
    }
}

/// Where the messages of one topic go within one batch.
private struct Route {
    let name: String
    let topic: Topic?
    private let limitsSizes: Bool
    /// The last segment of each partition, -1 where there is none yet.
    private var segments: [Int]
    private var keyless: Int?

    init(name: String, topic: Topic?, _ limitsSizes: Bool) {
        self.name = name
        self.topic = topic
        self.limitsSizes = limitsSizes
        segments = Array(repeating: -1, count: topic?.logs.count ?? 0)
    }

    mutating func segment(
        of record: UnsafeRawBufferPointer,
        _ entry: OutgoingBatch.Entry,
        _ all: inout [RoutedBatch.Segment]
    ) throws(MessageError) -> Int {
        guard let topic else { throw MessageError(.unknownTopic, "no topic '\(name)': create it first") }
        guard !limitsSizes || record.count <= topic.row.settings.maximumMessageSize else {
            let limit = topic.row.settings.maximumMessageSize
            throw MessageError(.tooLarge, "\(record.count) bytes, at most \(limit) for topic '\(name)'")
        }
        guard !topic.row.settings.cleanup.compacts || RecordLayout.hasKey(record) else {
            throw MessageError(.missingKey, "topic '\(name)' is compacted: every message needs a key")
        }
        let partition = entry.partition >= 0 ? Int(entry.partition) : choose(record, topic)
        guard partition < segments.count else {
            throw MessageError(
                .unknownPartition,
                "\(name)/\(partition): topic '\(name)' has \(segments.count) partitions"
            )
        }
        let log = topic.logs[partition]
        // Replicas are to be equal byte for byte, and each restarts when it does.
        let isTransient = entry.isTransient && !log.isReplicated
        if segments[partition] < 0 || all[segments[partition]].isTransient != isTransient {
            segments[partition] = all.count
            all.append(RoutedBatch.Segment(log: log, isTransient: isTransient))
        }
        return segments[partition]
    }

    private mutating func choose(_ record: UnsafeRawBufferPointer, _ topic: Topic) -> Int {
        let keyLength = Int(Int32(littleEndian: record.loadUnaligned(fromByteOffset: 4, as: Int32.self)))
        guard keyLength < 0 else {
            let key = record[RecordLayout.fixedSize..<RecordLayout.fixedSize + keyLength]
            return Murmur2.partition(of: UnsafeRawBufferPointer(rebasing: key), in: topic.logs.count)
        }
        if let keyless { return keyless }
        let next = topic.nextPartition()
        keyless = next
        return next
    }
}
