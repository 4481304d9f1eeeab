import Ratchet
import RatchetBroker
import RatchetTesting

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The receipts that were seen so far, with the file that holds them.
struct Collected {
    struct Place: Hashable {
        var partition: String
        var offset: Int64
    }

    private struct Receipt: Decodable {
        var purchase: String
        var customer: String
        var cents: Int
        var balance: Int
    }

    /// Each as `identity purchase customer cents balance`.
    private(set) var seen: [Place: String] = [:]
    private let file: EffectFile

    init(path: String) throws {
        file = try EffectFile(appendingTo: path)
        var history = History()
        let reading = try EffectFile.read(path, into: &history)
        guard reading.damaged == 0, reading.effects == history.events.count else {
            throw Problem("\(path) is not what was written to it: \(reading)")
        }
        for event in history.events {
            let place = Place(partition: history.name(of: event.partition), offset: event.offset)
            seen[place] = history.name(of: event.message)
        }
    }

    /// Adds what is new. What was seen must still be there, and be the same.
    mutating func read(_ broker: Broker) async throws {
        var missing = seen
        var seen = seen
        let file = file
        try await broker.forEachBatch(of: "receipts") { batch in
            for index in 0..<batch.count {
                let place = Place(partition: "\(batch.partition)", offset: batch[index].offset)
                let text = try Self.text(of: batch[index])
                if let before = missing.removeValue(forKey: place) {
                    guard before == text else { throw Problem("\(place) was '\(before)' and is '\(text)' now") }
                } else {
                    let effect = EffectFile.Effect(
                        id: text,
                        partition: batch.partition,
                        offset: place.offset,
                        generation: 0,
                        time: Int64(seen.count)
                    )
                    try file.append(effect)
                    seen[place] = text
                }
            }
        }
        if let (place, text) = missing.first {
            throw Problem("'\(text)' at \(place) is gone, one of \(missing.count)")
        }
        self.seen = seen
    }

    private static func text(of message: Message) throws -> String {
        guard let identity = message.header(Header.messageIDName) else { throw Problem("a receipt without an id") }
        let receipt = try JSONDecoder().decode(Receipt.self, from: Data(message.payload))
        return "\(String(decoding: identity, as: UTF8.self)) \(receipt.purchase) \(receipt.customer) \(receipt.cents) "
            + "\(receipt.balance)"
    }
}
