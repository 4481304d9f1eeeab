import Ratchet
import RatchetBroker

/// What a topic holds that was compacted: of each key at least the newest message, and nothing that was not sent.
struct Inspection: CustomStringConvertible {
    /// How many messages the first leader has.
    private(set) var messages = 0
    private var lost = 0
    private var twice = 0

    /// Each life has sent ``Compactor/rounds`` messages of each key. The leader of several nodes is killed once it was
    /// read, and the one that takes over is looked at, too.
    init(of broker: Broker, lives: Int) async throws {
        let sent = Int64(lives * Compactor.keys * Compactor.rounds)
        messages = try await look(at: broker, sent)
        guard let leader = try broker.describe("table").partitions[0].replication?.leader else { return }
        await broker.nodes[leader].kill()
        // Once this is written, all that was decided before is told.
        _ = try await broker.producer(ProducerSettings(transactionalID: "barrier"))
        _ = try await look(at: broker, sent)
    }

    private mutating func look(at broker: Broker, _ sent: Int64) async throws -> Int {
        let end = try broker.logEnds(of: "table")[Compactor.table] ?? 0
        lost += Int(max(0, sent - end))
        twice += Int(max(0, end - sent))
        var (newest, count): ([Int64: Int64], Int) = ([:], 0)
        for try await batch in try broker.read(Compactor.table) {
            for index in 0..<batch.count {
                let message = batch[index]
                let (round, key) = message.offset.quotientAndRemainder(dividingBy: Int64(Compactor.keys))
                guard message.key.map({ String(decoding: $0, as: UTF8.self) }) == "k\(key)", message.text == "\(round)"
                else { throw Problem("offset \(message.offset) holds '\(message.text)' of \(message.key ?? [])") }
                newest[key] = message.offset
                count += 1
            }
        }
        for key in 0..<Int64(Compactor.keys) where newest[key] != end - Int64(Compactor.keys) + key { lost += 1 }
        return count
    }

    /// One object, for `Tests/Crash/programs.sh`.
    var description: String { "{\"messages\":\(messages),\"lost\":\(lost),\"twice\":\(twice)}" }
}
