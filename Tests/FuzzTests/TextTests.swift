import RatchetTesting
import Seeds
import Testing

@testable import Orders
@testable import Ratchet

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

@Suite("Fuzzing: lines of text", .fuzzing)
struct TextTests {
    private static func purchases(_ random: inout SeededRandom) -> [UInt8] {
        let lines = (0...random.below(5)).map { _ in
            let id = "o-\(random.below(100))"
            return #"{"id":"\#(id)","customer":"ü \u00e4","date":"2026-01-02","quantity":2,"cents":-199}"#
        }
        return Array((lines.joined(separator: random.chance(20) ? "\r\n" : "\n") + "\n").utf8)
    }

    @Test("A line holds a purchase within its bounds, or none, and blocks do not matter", arguments: Seed.some(1))
    func purchases(seed: Seed) async throws {
        try await Fuzz.run("ndjson", seed, rounds: 2_000) { random in
            let deep = Array(String(repeating: random.chance(50) ? "[" : #"{"id":"#, count: random.below(3_000)).utf8)
            let other = random.chance(5) ? deep : Array(#"1e999\ud800"00,"id":null}"#.utf8)
            let bytes = Self.purchases(&random).damaged(by: other, &random)
            let limit = random.below(200) + 50
            let lines = Self.lines(of: [bytes], limit: limit)
            var blocks: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let size = random.below(rest.count) + 1
                blocks.append(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            #expect(Self.lines(of: blocks, limit: limit) == lines)
            for case let line? in lines {
                #expect(line.count <= limit && !line.contains(UInt8(ascii: "\n")))
                guard let purchase = Purchase(line: line) else { continue }
                #expect(1...256 ~= purchase.id.utf8.count && 1...256 ~= purchase.customer.utf8.count)
                #expect(Purchase.centsBounds.contains(purchase.cents))
            }
        }
    }

    private static func lines(of blocks: [[UInt8]], limit: Int) -> [[UInt8]?] {
        var splitter = LineSplitter(limit: limit)
        var lines: [[UInt8]?] = []
        for block in blocks { splitter.split(block) { lines.append($1) } }
        splitter.finish { lines.append($1) }
        return lines
    }

    @Test("Of a damaged file of effects only those are believed that were written", arguments: Seed.some(1))
    func effects(seed: Seed) async throws {
        let path = "/tmp/ratchet-fuzz-\(UInt64.random(in: .min ... .max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await Fuzz.run("effects", seed, rounds: 500) { random in
            try Data().write(to: URL(filePath: path))
            let file = try EffectFile(appendingTo: path)
            let count = random.below(6) + 1
            for index in 0..<count {
                let partition = TopicPartition("orders", index)
                try file.append(.init(id: "e\(index)", partition: partition, offset: 7, generation: 1, time: 10))
            }
            let whole = Array(try Data(contentsOf: URL(filePath: path)))
            let bytes = whole.damaged(by: whole, &random)
            try Data(bytes).write(to: URL(filePath: path))
            var history = History()
            let reading = try EffectFile.read(path, into: &history)
            #expect(reading.effects == history.events.count)
            #expect(history.events.allSatisfy { $0.offset == 7 && $0.generation == 1 && $0.time == 10 })
            let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            #expect(reading.effects + reading.damaged == lines.count - (lines.last?.isEmpty == true ? 1 : 0))
        }
    }
}
