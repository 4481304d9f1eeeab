import Ratchet
import Testing

@testable import RatchetTesting

@Suite("The effects of a simulated run")
struct EffectCheckTests {
    /// Messages that were sent and processed in order, each with these effects.
    private static func history(_ effects: (message: String, names: [String])...) throws -> History {
        var history = History()
        let partition = try history.partition(TopicPartition("orders", 0))
        let producer = history.producer("shop")
        for (offset, (name, names)) in effects.enumerated() {
            let (message, offset) = (history.message(name), Int64(offset))
            history.append(.sending(message, by: producer), at: offset)
            history.append(.sentOK(message, partition, offset: offset), at: offset)
            history.append(.delivered(message, partition, offset: offset, generation: 1), at: offset)
            for name in names {
                let event = History.Event.effect(message, partition, offset: offset, generation: 1)
                history.append(history.naming(event, EffectName(text: name, isOutside: false)), at: offset)
            }
            history.append(.committed(partition, offset: offset + 1, generation: 1), at: offset)
        }
        history.append(.drained, at: Int64(effects.count))
        return history
    }

    private static func brief(_ checked: EffectCheck.Checked) -> [String] {
        checked.findings.map { "\($0.kind): \($0.effects) of \($0.messages)" }
    }

    @Test("Unless it is said which, each effect that was seen is one that each message is to have")
    func allSeen() throws {
        let history = try Self.history(("a", ["booked", "mail"]), ("b", ["booked"]))
        let checked = EffectCheck.check(history, expected: nil)
        #expect(Self.brief(checked) == [#"lost effect: ["mail"] of ["b"]"#, #"premature commit: ["mail"] of ["b"]"#])
    }

    @Test("Of an effect that is not expected of each message none is missed, and none may be there twice")
    func others() throws {
        let sound = try Self.history(("a", ["booked", "mail"]), ("b", ["booked"]))
        #expect(Self.brief(EffectCheck.check(sound, expected: ["booked"])) == [])
        let twice = try Self.history(("a", ["booked"]), ("b", ["booked", "mail", "mail"]))
        #expect(Self.brief(EffectCheck.check(twice, expected: ["booked"])) == [#"duplicate effect: ["mail"] of ["b"]"#])
        #expect(EffectCheck.check(twice, expected: ["booked"]).counts.withEffect == 2)
    }

    @Test("Where no effect is expected, none is missed; what was never seen and is expected is lost")
    func none() throws {
        let idle = try Self.history(("a", []), ("b", ["mail"]))
        #expect(Self.brief(EffectCheck.check(idle, expected: [])) == [])
        #expect(Self.brief(EffectCheck.check(try Self.history(("a", [])), expected: [])) == [])
        let lost = EffectCheck.check(try Self.history(("a", [])), expected: nil)
        #expect(lost.findings.map(\.kind) == [.lostEffect, .prematureCommit] && lost.counts.okWithNeither == 1)
    }
}
