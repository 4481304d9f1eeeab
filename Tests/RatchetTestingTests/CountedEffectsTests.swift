import Ratchet
import Testing

@testable import RatchetTesting

@Suite("Effects of a program that was killed")
struct CountedEffectsTests {
    private let scratch: Scratch
    private let end = CrashTestEnd(seed: 1, deaths: [], runs: 1, output: "", droppedOutput: 0, time: .zero)

    init() throws { scratch = try Scratch() }

    private func append(_ ids: String...) throws {
        let file = try EffectFile(appendingTo: scratch.path("effects"))
        for id in ids {
            try file.append(.init(id: id, partition: TopicPartition("orders", 0), offset: 1, generation: 1, time: 1))
        }
    }

    /// Takes the last bytes off, as a writer that could not finish.
    private func tear(_ count: Int) throws {
        try scratch.write(Array(try scratch.read("effects").dropLast(count)), to: "effects")
    }

    @Test("They are counted from the file that the program wrote")
    func counted() throws {
        try append("a", "b", "a")
        #expect(try end.effects(in: scratch.path("effects")) == ["a": 2, "b": 1])
    }

    @Test("What each of its processes could not finish counts for nothing")
    func unfinished() throws {
        for id in ["a", "b", "c"] {
            try append(id, "torn")
            try tear(id == "b" ? 1 : 7)
        }
        #expect(try end.effects(in: scratch.path("effects")) == ["a": 1, "b": 1, "c": 1])
    }

    @Test("A line that is damaged, or written behind an unfinished one, is no effect that may be left out")
    func damaged() throws {
        try append("a", "b", "c")
        let whole = try scratch.read("effects")
        let line = whole.count / 3
        var flipped = whole
        flipped[line + 20] ^= 1
        let joined = Array(whole[..<(line - 3)]) + whole[line...]
        let gap = Array(whole[..<line]) + Array("\n".utf8) + whole[line...]
        for bytes in [flipped, joined, Array(whole[3...]), gap] {
            try scratch.write(bytes, to: "effects")
            let error = #expect(throws: HistoryError.self) { try end.effects(in: scratch.path("effects")) }
            #expect(error?.code == .damaged, "\(String(describing: error))")
        }
    }
}
