import Ratchet
import RatchetBroker

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Looks from outside, after the last life, at what there is.
struct Verification {
    let folder: String
    let configuration: Broker.Configuration

    /// Of several nodes each must have all by itself, once the others are dead.
    func verdict() async throws -> Verdict {
        let books = try String(decoding: Data(contentsOf: URL(filePath: folder + "/books")), as: UTF8.self)
            .split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        var first: (logs: [String: [String]], committed: Int64)?
        for survivor in 0..<configuration.nodes {
            let found = try await read(survivor)
            if let first, first != found { throw Problem("node \(survivor) has other messages than node 0") }
            first = found
        }
        return Verdict(books: books, logs: first?.logs ?? [:], committed: first?.committed ?? 0)
    }

    private func read(_ survivor: Int) async throws -> (logs: [String: [String]], committed: Int64) {
        let broker = try await Broker(at: folder + "/broker", configuration: configuration)
        for node in broker.nodes where node.number != survivor { await node.kill() }
        // Once this is written, all that was decided before is told.
        _ = try await broker.producer(ProducerSettings(transactionalID: "barrier"))
        var logs: [String: [String]] = [:]
        for topic in broker.topics() {
            for partition in try broker.describe(topic).partitions {
                for try await batch in try broker.read(partition.partition) {
                    logs[topic, default: []] += (0..<batch.count).map { batch[$0].text }
                }
            }
        }
        let committed = try broker.offsets(group: "billing").values.reduce(0) { $0 + $1.offset }
        try await broker.close()
        return (logs, committed)
    }
}
