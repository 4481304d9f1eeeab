import Ratchet

/// Records that a log holds and that are delivered to nobody, as the markers of transactions are: they make holes among
/// the offsets.
struct ControlRecords {
    private static let name = "control"

    /// A message behind a record that is in the log and nowhere else: what is committed at the end is the offset after a
    /// message. Alone if it has no key that takes both to one partition.
    static func before(_ message: OutgoingMessage) -> [OutgoingMessage] {
        guard message.key != nil else { return [message] }
        var control = message
        control.payload = []
        control.headers = [Header(name, ""), .messageID("no message")]
        return [control, message]
    }

    static func contain(_ message: Message) -> Bool { message.headers.contains { $0.name == name } }

    /// Where each partition's next batch begins.
    private var starts: [TopicPartition: Int64] = [:]

    mutating func begin(_ partition: TopicPartition, at offset: Int64) { starts[partition] = offset }

    /// The batch as it is delivered; nil if nothing of it is.
    mutating func removed(from batch: MessageBatch) -> MessageBatch? {
        let kept = (0..<batch.count).filter { !Self.contain(batch[$0]) }
        guard let last = kept.last else { return nil }
        let start = min(starts[batch.partition] ?? batch.startOffset, batch.startOffset)
        starts[batch.partition] = batch.offset(at: last) + 1
        let records = kept.map { batch.record(at: $0) }
        do {
            return try MessageBatch(
                partition: batch.partition,
                generation: batch.generation,
                startOffset: start,
                count: kept.count,
                byteCount: records.reduce(0) { $0 + $1.count }
            ) { bytes, offsets in
                var end = 0
                for (number, record) in records.enumerated() {
                    UnsafeMutableRawBufferPointer(rebasing: bytes[end...]).copyMemory(from: record)
                    end += record.count
                    offsets[number] = batch.offset(at: kept[number])
                }
            }
        } catch {
            preconditionFailure("a batch's own records cannot be read: \(error)")
        }
    }
}
