import Synchronization

@testable import Ratchet

/// A sink whose answers a test writes: it keeps what it has confirmed, in order.
final class ScriptedSink: Sink {
    struct Sent: Hashable, Sendable {
        var topic: String
        var key: [UInt8]?
        var id: String
        var payload: [UInt8]
    }

    private let answer: @Sendable ([Sent]) throws -> Set<Int>
    private let taken = Mutex<[Sent]>([])

    /// `answer` tells which messages of a batch fail, or throws when nothing is known.
    init(_ answer: @escaping @Sendable ([Sent]) throws -> Set<Int>) { self.answer = answer }

    /// What was confirmed, repeats included.
    var confirmed: [Sent] { taken.withLock { $0 } }

    func send(_ batch: OutgoingBatch) async throws -> [SinkFailure] {
        let sent = try OutgoingBatchTests.messages(of: batch).map { message in
            let id = message.headers.first { $0.name == Header.messageIDName }?.text ?? ""
            return Sent(topic: message.topic, key: message.key, id: id, payload: message.payload)
        }
        let failed = try answer(sent)
        taken.withLock { taken in
            for (index, message) in sent.enumerated() where !failed.contains(index) { taken.append(message) }
        }
        return failed.sorted().map { SinkFailure(index: $0, error: CancellationError()) }
    }
}
