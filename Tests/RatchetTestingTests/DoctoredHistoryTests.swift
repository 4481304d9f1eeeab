import RatchetTesting
import Seeds
import Testing

@Suite("Doctored histories")
struct DoctoredHistoryTests {
    /// The kinds that a log can show, and those that a queue can.
    private static let ofLogs = Finding.Kind.allCases.filter { $0 != .redeliveryAfterAck }
    private static let ofQueues: [Finding.Kind] = [
        .lostEffect, .duplicateEffect, .falseSkip, .prematureCommit, .redeliveryAfterAck, .deadLetteredAndEffected,
        .stuck,
    ]

    @Test("Doctored for one kind, a log's history shows this kind alone, and its events are named", arguments: ofLogs)
    func log(kind: Finding.Kind) throws {
        try check(kind, Seed.some(60)) { try SoundLog.history($0) }
    }

    @Test(
        "Doctored for one kind, a queue's history shows this kind alone, and its events are named",
        arguments: ofQueues
    )
    func queue(kind: Finding.Kind) throws {
        try check(kind, Seed.some(60)) { try SoundQueue.history($0) }
    }

    private func check(_ kind: Finding.Kind, _ seeds: [Seed], _ make: (Seed) throws -> History) throws {
        var doctored = 0
        for seed in seeds {
            let history = try make(seed)
            var doctor = Doctor(history, seed)
            guard let change = doctor.apply(kind) else { continue }
            doctored += 1
            let report = HistoryChecker.check(history.replacingEvents(doctor.events))
            #expect(report.kinds == [kind], "\(seed.description), doctored \(change): \(report)")
            let isNamed = report.findings.contains { finding in change.allSatisfy(finding.events.contains) }
            #expect(isNamed, "\(seed.description), doctored \(change): \(report)")
        }
        #expect(doctored > seeds.count / 3, "only \(doctored) histories had a place for it")
    }

    @Test("A premature commit is found at every prefix that has it, and at none before", arguments: Seed.some(20))
    func prefixes(seed: Seed) throws {
        for history in [try SoundLog.history(seed, steps: 100), try SoundQueue.history(seed, steps: 100)] {
            var doctor = Doctor(history, seed)
            guard let change = doctor.apply(.prematureCommit) else { continue }
            for count in doctor.events.indices {
                let report = HistoryChecker.check(history.replacingEvents(Array(doctor.events[..<count])))
                let expected: [Finding.Kind] = count > change[0] ? [.prematureCommit] : []
                #expect(report.kinds == expected, "\(seed.description), the first \(count) events: \(report)")
            }
        }
    }
}
