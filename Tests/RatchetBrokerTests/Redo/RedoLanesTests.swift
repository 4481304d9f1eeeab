import Seeds
import Testing

@testable import RatchetBroker

@Suite("What is decided, on its way")
struct RedoLanesTests {
    private typealias Lanes = RedoLanes<String>

    private static func part(_ number: Int64, _ part: UInt32, to uid: UInt32, owner: Int64? = nil) -> Lanes.Part {
        Lanes.Part(key: RedoKey(number, part), uid: uid, owner: owner, bytes: 1, content: "\(number).\(part)")
    }

    /// Actions as text.
    private static func texts(_ actions: [Lanes.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .append(let uid, let parts): "append \(parts.map(\.content)) to \(uid)"
            case .settled(let parts): "settled \(parts.map(\.content))"
            case .idle(let owner): "idle \(owner)"
            case .stuck(let uid, let attempts): "stuck \(uid) \(attempts)"
            }
        }
    }

    @Test("Each partition has all that is decided once and in its order, whatever fails, and nobody waits for ever")
    func model() {
        var (crashes, repeats) = (0, 0)
        for seed in Seed.some(150) {
            var model = RedoModel(seed)
            model.run(200)
            #expect(model.findings.isEmpty, "\(seed)")
            (crashes, repeats) = (crashes + model.crashes, repeats + model.repeats)
        }
        #expect(crashes > 0 && repeats > 0)
    }

    @Test("A mistake with what is decided is found", arguments: RedoModel.Mistake.allCases)
    func findsMistakes(mistake: RedoModel.Mistake) {
        let isFound = (1...50 as ClosedRange<UInt64>).contains { seed in
            var model = RedoModel(Seed(value: seed), mistake)
            model.run(200)
            return !model.findings.isEmpty
        }
        #expect(isFound, "\(mistake) passes")
    }

    @Test("That a partition takes nothing is told when it lasts, and again each time that it has lasted twice as long")
    func stuck() {
        var lanes = Lanes()
        var told: [String] = []
        _ = lanes.handle(.decided([Self.part(0, 0, to: 1), Self.part(0, 1, to: 2)]))
        for _ in 0..<40 {
            told += Self.texts(lanes.handle(.answered(uid: 1, .failed)))
            _ = lanes.handle(.retry(uid: 1))
        }
        #expect(told == ["stuck 1 8", "stuck 1 16", "stuck 1 32"])
        #expect(lanes.count == 2)
        _ = lanes.handle(.answered(uid: 1, .isThere))
        #expect(lanes.count == 1)
        _ = lanes.handle(.decided([Self.part(1, 0, to: 1)]))
        #expect(Self.texts(lanes.handle(.answered(uid: 1, .failed))).isEmpty)
        _ = lanes.handle(.answered(uid: 2, .isGone))
        #expect(lanes.count == 1)
    }

    @Test("What comes while something is on its way goes when that is there, together")
    func order() {
        var lanes = Lanes()
        #expect(Self.texts(lanes.handle(.decided([Self.part(0, 0, to: 1)]))) == [#"append ["0.0"] to 1"#])
        for number in 1...2 as ClosedRange<Int64> {
            #expect(lanes.handle(.decided([Self.part(number, 0, to: 1)])).isEmpty)
        }
        #expect(
            Self.texts(lanes.handle(.answered(uid: 1, .isThere)))
                == [#"settled ["0.0"]"#, #"append ["1.0", "2.0"] to 1"#]
        )
    }

    @Test("What has failed goes again when asked for, and at once if that was asked while it was on its way")
    func retries() {
        var lanes = Lanes()
        _ = lanes.handle(.decided([Self.part(0, 0, to: 1)]))
        #expect(lanes.handle(.answered(uid: 1, .failed)).isEmpty)
        #expect(lanes.isAtRest && !lanes.isEmpty)
        #expect(Self.texts(lanes.handle(.retry(uid: 1))) == [#"append ["0.0"] to 1"#])
        #expect(lanes.handle(.retry(uid: 1)).isEmpty)
        #expect(Self.texts(lanes.handle(.answered(uid: 1, .failed))) == [#"append ["0.0"] to 1"#])
        #expect(lanes.handle(.answered(uid: 1, .failed)).isEmpty)
    }

    @Test("A producer is idle once all its parts are settled, those of a partition that is gone with them")
    func owners() {
        var lanes = Lanes()
        _ = lanes.handle(.decided([Self.part(0, 0, to: 1, owner: 7), Self.part(0, 1, to: 2, owner: 7)]))
        #expect(Self.texts(lanes.handle(.answered(uid: 1, .isThere))) == [#"settled ["0.0"]"#])
        #expect(lanes.has(owner: 7) && lanes.allOwners == [7])
        #expect(Self.texts(lanes.handle(.answered(uid: 2, .isGone))) == [#"settled ["0.1"]"#, "idle 7"])
        #expect(lanes.isEmpty && !lanes.has(owner: 7))
    }

    @Test("A decision's stamp rises with its number, and belongs to no producer that was opened")
    func stamps() {
        let numbers: [Int64] = [0, 1, (1 << 30) - 1, 1 << 30, 1 << 40]
        let stamps = numbers.map { ProducerStamp(decision: $0, sequences: 0...0) }
        #expect(stamps.allSatisfy { $0.isDecided && $0.epoch >= 0 })
        for (a, b) in zip(stamps, stamps.dropFirst()) { #expect((a.producer, a.epoch) < (b.producer, b.epoch)) }
        #expect(!ProducerStamp.isDecided(1 << 60))
    }
}
