import Ratchet
import RatchetTesting
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

@Suite("Effect file")
struct EffectFileTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func effect(_ index: Int) -> EffectFile.Effect {
        EffectFile.Effect(
            id: "order-\(index) ü",
            partition: TopicPartition("orders", index % 3),
            offset: Int64(index),
            generation: Int64(index % 5),
            time: Int64(index) * 10
        )
    }

    /// The bytes of a file of `count` effects.
    private func bytes(_ count: Int) throws -> [UInt8] {
        let file = try EffectFile(appendingTo: scratch.path("whole"))
        for index in 0..<count { try file.append(effect(index)) }
        defer { try? FileManager.default.removeItem(atPath: scratch.path("whole")) }
        return try scratch.read("whole")
    }

    private func read(_ bytes: [UInt8]) throws -> (EffectFile.Reading, History) {
        try scratch.write(bytes, to: "effects")
        var history = History()
        let reading = try EffectFile.read(scratch.path("effects"), into: &history)
        return (reading, history)
    }

    @Test("What is written is read", arguments: [EffectFile.Durability.process, .machine])
    func whole(durability: EffectFile.Durability) throws {
        let path = scratch.path("both")
        for part in [0..<3, 3..<7] {
            let file = try EffectFile(appendingTo: path, durability: durability)
            for index in part { try file.append(effect(index)) }
        }
        var history = History()
        let reading = try EffectFile.read(path, into: &history)
        #expect(reading.effects == 7 && reading.damaged == 0)
        #expect(history.describe(4) == "#4 effect order-4 ü orders/1@4 generation 4")
        #expect(history.events.map(\.time) == (0..<7).map { $0 * 10 })
    }

    @Test("Effects enter a history by their time, before events of the same time")
    func merged() throws {
        var history = History()
        let partition = try history.partition(TopicPartition("orders", 0))
        for time: Int64 in [5, 10, 10, 25] { history.append(.committed(partition, offset: 0, generation: 0), at: time) }
        try scratch.write(bytes(4), to: "effects")
        _ = try EffectFile.read(scratch.path("effects"), into: &history)
        #expect(history.events.map(\.time) == [0, 5, 10, 10, 10, 20, 25, 30])
        #expect(history.events.map { $0.kind == .effect } == [true, false, true, false, false, true, false, true])
    }

    @Test("Cut anywhere, a file gives its whole lines and reports the torn one")
    func torn() throws {
        let bytes = try bytes(3)
        let ends = bytes.indices.filter { bytes[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        for length in bytes.indices {
            let (reading, history) = try read(Array(bytes[..<length]))
            let whole = ends.count { $0 <= length }
            let start = whole == 0 ? 0 : ends[whole - 1]
            #expect(reading.effects == whole && history.events.count == whole)
            #expect(reading.damage.map(\.reason) == (length == start ? [] : [.torn]))
            #expect(reading.damage.allSatisfy { $0.position == start && $0.length == length - start })
        }
    }

    @Test("Whoever goes on behind a torn line, torn anywhere, loses nothing of its own, and the line counts as torn")
    func goesOn() throws {
        let bytes = try bytes(2)
        let first = bytes.prefix { $0 != UInt8(ascii: "\n") }.count + 1
        for length in first + 1..<bytes.count {
            try scratch.write(Array(bytes[..<length]), to: "effects")
            try EffectFile(appendingTo: scratch.path("effects")).append(effect(2))
            var history = History()
            let reading = try EffectFile.read(scratch.path("effects"), into: &history)
            #expect(reading.effects == 2 && reading.damage.map(\.reason) == [.torn] && reading.torn == 1)
            #expect(history.events.map(\.offset) == [0, 2])
        }
    }

    @Test("A flipped bit anywhere costs the lines it touches, and none is believed that was not written")
    func flipped() throws {
        let bytes = try bytes(3)
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                let (reading, history) = try read(damaged)
                #expect(reading.damaged >= 1, "bit \(bit) of byte \(index)")
                #expect(history.events.allSatisfy { $0.time == $0.offset * 10 && $0.offset < 3 })
                #expect(reading.effects >= 1 && reading.effects < 3)
            }
        }
    }

    @Test("Lines that are too long, empty or nonsense are passed over")
    func hostile() throws {
        let line = try bytes(1)
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 3 << 20) + [UInt8(ascii: "\n")]
        let zeros = [UInt8](repeating: 0, count: 100_000) + [UInt8(ascii: "\n")]
        let (reading, history) = try read(
            line + long + [UInt8(ascii: "\n")] + zeros + line + Array("nonsense\n".utf8) + line
        )
        #expect(reading.effects == 3 && history.events.count == 3)
        #expect(reading.damage.map(\.reason) == [.tooLong, .checksum, .tooLong, .checksum])
        let second = line.count + long.count
        let fourth = second + 1 + zeros.count + line.count
        #expect(reading.damage.map(\.position) == [line.count, second, second + 1, fourth])
    }

    @Test("A line with the right checksum and wrong fields is malformed")
    func malformed() throws {
        let contents = [
            "id\torders\t0\t0\t0", "id\torders\t-1\t0\t0\t0", "\torders\t0\t0\t0\t0",
            "id\torders\t0\t99999999999999999999\t0\t0",
        ]
        for content in contents {
            let sum = String(Array(content.utf8).withUnsafeBytes { Checksum.xxh64($0) }, radix: 16)
            let digits = String(repeating: "0", count: 16 - sum.count) + sum
            let (reading, history) = try read(Array("\(digits)\t\(content)\n".utf8))
            #expect(reading.damage.map(\.reason) == [.malformed] && history.events.isEmpty)
        }
    }

    @Test("Damage is listed up to a limit, and counted")
    func manyDamages() throws {
        let (reading, _) = try read(Array(String(repeating: "?\n", count: 1_000).utf8))
        #expect(reading.damaged == 1_000 && reading.damage.count == EffectFile.Reading.maximumListedDamage)
    }

    @Test("No more effects are taken than the history has room for, and the rest is counted")
    func room() throws {
        try scratch.write(bytes(5), to: "effects")
        var history = History(maximumEvents: 3)
        let reading = try EffectFile.read(scratch.path("effects"), into: &history)
        #expect(reading.effects == 5 && history.events.count == 3 && history.droppedEvents == 2)
    }

    @Test("A name that does not fit on a line is refused, and so is a folder that is not there")
    func refused() throws {
        let file = try EffectFile(appendingTo: scratch.path("effects"))
        for name in ["", "a\tb", "a\nb", String(repeating: "a", count: 513)] {
            var other = effect(0)
            other.id = name
            #expect { try file.append(other) } throws: { ($0 as? HistoryError)?.code == .invalidEffect }
        }
        try file.append(effect(0))
        let absent = scratch.path("absent/effects")
        #expect { try EffectFile(appendingTo: absent) } throws: { ($0 as? HistoryError)?.code == .file }
        var history = History()
        #expect { try EffectFile.read(absent, into: &history) } throws: { ($0 as? HistoryError)?.code == .file }
    }

    @Test("After a failed write nothing more is written")
    func failed() throws {
        let file = try EffectFile(appendingTo: "/dev/full")
        for _ in 0..<2 {
            #expect { try file.append(effect(0)) } throws: { ($0 as? HistoryError)?.code == .file }
        }
    }
}
