import RatchetTesting
import Testing

@Suite("History checker")
struct HistoryCheckerTests {
    @Test("An effect that comes again is a duplicate up to the window's count, and counted beyond it")
    func windowCount() throws {
        var script = try Script()
        for offset in 0..<4 { script.effect("m\(offset)", at: Int64(offset)) }
        script.effect("m0", at: 9)
        #expect(script.check(.init(count: 4)).kinds == [.duplicateEffect])
        let outside = script.check(.init(count: 3))
        #expect(outside.isSound && outside.counts.repeatedOutsideWindow == 1)
    }

    @Test("An effect that comes again is a duplicate up to the window's time, and counted beyond it")
    func windowTime() throws {
        var script = try Script()
        script.effect("m", at: 0)
        script.wait(990)
        script.effect("m", at: 1)
        #expect(script.check(.init(time: .nanoseconds(1_000))).kinds == [.duplicateEffect])
        #expect(script.check(.init(time: .nanoseconds(999))).isSound)
        #expect(script.check(.init(count: 2, time: .nanoseconds(999))).counts.repeatedOutsideWindow == 1)
    }

    @Test("A log's record has its effect once, whatever the window; a queue's delivery tags say nothing")
    func sameRecord() throws {
        for (kind, expected) in [(PartitionKind.log, [Finding.Kind.duplicateEffect]), (.queue, [])] {
            var script = try Script(kind: kind)
            script.effect("m", at: 0)
            script.effect("other", at: 1)
            script.effect("m", at: 0)
            #expect(script.check(.init(count: 1)).kinds == expected)
        }
    }

    @Test("Behind a seek, commits may be lower and effects may come again; before its offset they may not")
    func seek() throws {
        var script = try Script()
        for offset in 0..<3 { script.send("m\(offset)", at: Int64(offset)) }
        for offset in 0..<3 { script.effect("m\(offset)", at: Int64(offset)) }
        script.commit(3)
        script.add(.seek(script.partition, to: 1))
        for offset in 1..<3 { script.effect("m\(offset)", at: Int64(offset)) }
        script.commit(2)
        script.commit(3)
        let report = script.check()
        #expect(report.isSound && report.counts.reprocessed == 2, "\(report)")
        script.effect("m0", at: 0)
        #expect(script.check().kinds == [.duplicateEffect])
        script.commit(1)
        #expect(script.check().kinds == [.duplicateEffect, .commitRegression])
    }

    @Test("Of two seeks each allows what lies behind it and came before it")
    func seeks() throws {
        var script = try Script()
        for offset in 0..<6 { script.effect("m\(offset)", at: Int64(offset)) }
        script.add(.seek(script.partition, to: 1))
        script.effect("m5", at: 5)
        script.add(.seek(script.partition, to: 4))
        for offset in [2, 4, 5] { script.effect("m\(offset)", at: Int64(offset)) }
        #expect(script.check().isSound)
        script.effect("m2", at: 2)
        #expect(script.check().findings.map(\.events) == [[9, 12]])
    }

    @Test("What an operator has processed again has its effect once more: not twice, and not never")
    func reprocess() throws {
        var script = try Script()
        for offset in 0..<4 { script.send("m\(offset)", at: Int64(offset)) }
        for offset in 0..<3 { script.effect("m\(offset)", at: Int64(offset)) }
        script.commit(3)
        script.add(.reprocess(script.partition, from: 1))
        var idle = script
        for offset in 1..<4 { script.effect("m\(offset)", at: Int64(offset), generation: 2) }
        script.commit(4)
        script.add(.drained)
        let report = script.check()
        #expect(report.isSound && report.counts.reprocessed == 2, "\(report)")
        for again in 0..<3 {
            var doctored = script
            doctored.effect("m\(again)", at: Int64(again), generation: 2)
            #expect(doctored.check().kinds == [.duplicateEffect])
        }
        idle.effect("m1", at: 1, generation: 2)
        idle.effect("m3", at: 3, generation: 2)
        idle.commit(4)
        idle.add(.drained)
        let lost = idle.check()
        #expect(lost.kinds == [.lostEffect, .prematureCommit] && lost.count(of: .prematureCommit) == 1, "\(lost)")
        #expect(lost.findings.first?.description.contains("m2") == true)
    }

    @Test("Of a message that is to be processed again a skip is false, and a dead letter may become an effect")
    func reprocessOutcomes() throws {
        var script = try Script()
        for offset in 0..<3 { script.send("m\(offset)", at: Int64(offset)) }
        script.add(.deadLettered(script.message("m0"), script.partition, offset: 0, generation: 1))
        for offset in 1..<3 { script.effect("m\(offset)", at: Int64(offset)) }
        script.commit(3)
        script.add(.reprocess(script.partition, from: 0))
        script.effect("m0", at: 0, generation: 2)
        script.add(.deadLettered(script.message("m1"), script.partition, offset: 1, generation: 2))
        #expect(script.check().isSound)
        script.add(.skipped(script.message("m2"), script.partition, offset: 2, generation: 2))
        #expect(script.check().kinds == [.falseSkip])
    }

    @Test("Where an operator goes forward to process again, what lies between is given up, until it is gone back over")
    func reprocessForward() throws {
        var script = try Script()
        for offset in 0..<4 { script.send("m\(offset)", at: Int64(offset)) }
        script.effect("m0", at: 0)
        script.commit(1)
        script.add(.reprocess(script.partition, from: 3))
        script.effect("m3", at: 3, generation: 2)
        script.commit(4, generation: 2)
        var ended = script
        ended.add(.drained)
        #expect(ended.check().isSound && ended.check().counts.okGivenUp == 2, "\(ended.check())")
        script.add(.reprocess(script.partition, from: 2))
        script.effect("m3", at: 3, generation: 3)
        script.commit(4, generation: 3)
        script.add(.drained)
        let report = script.check()
        #expect(report.kinds == [.lostEffect, .prematureCommit] && report.counts.okGivenUp == 1, "\(report)")
    }

    @Test("A topic that was deleted has taken with it what was not done, and nothing else")
    func deletedTopic() throws {
        var script = try Script()
        for offset in 0..<3 { script.send("m\(offset)", at: Int64(offset)) }
        script.effect("m0", at: 0)
        script.commit(2)
        script.add(.seek(script.partition, to: .max))
        script.send("m3", at: 3)
        script.add(.drained)
        let report = script.check()
        #expect(report.kinds == [.lostEffect, .prematureCommit] && report.counts.okGivenUp == 2, "\(report)")
        #expect(report.findings.first?.description.contains("m1") == true)
    }

    @Test("What an operator passed over, retention removed or a transaction took back is given up, not lost")
    func givenUp() throws {
        var script = try Script()
        for offset in 0..<5 { script.send("m\(offset)", at: Int64(offset)) }
        script.add(.seek(script.partition, to: 2))
        script.add(.removed(script.message("m2"), script.partition, offset: 2))
        script.add(.aborted(script.message("m3"), script.partition, offset: 3))
        script.effect("m4", at: 4)
        script.commit(5)
        script.add(.end(of: script.partition, offset: 5))
        script.add(.drained)
        let report = script.check()
        #expect(report.isSound, "\(report)")
        #expect(report.counts.okGivenUp == 4 && report.counts.okWithNeither == 4 && report.counts.okWithEffect == 1)
    }

    @Test("A replayed dead letter has its effect; with none it is lost")
    func replay() throws {
        var script = try Script()
        script.send("m", at: 0)
        let message = script.message("m")
        script.add(.deadLettered(message, script.partition, offset: 0, generation: 1))
        script.add(.replayed(message))
        let replayed = script
        script.effect("m", at: 0)
        script.add(.drained)
        #expect(script.check().isSound && script.check().counts.deadLettered == 0)
        script = replayed
        script.add(.drained)
        #expect(script.check().kinds == [.lostEffect])
    }

    @Test("Sends of unknown outcome have columns of their own and are never lost")
    func unknown() throws {
        var script = try Script()
        for name in ["back", "unknown", "never returned", "failed"] { script.beginSending(name) }
        script.add(.sentUnknown(script.message("back")))
        script.add(.sentUnknown(script.message("unknown")))
        script.add(.sentFailed(script.message("failed")))
        script.effect("back", at: 0)
        script.add(.drained)
        let report = script.check()
        #expect(report.isSound, "\(report)")
        #expect(report.counts.sentUnknown == 3 && report.counts.sentFailed == 1 && report.counts.sentOK == 0)
        #expect(report.counts.unknownWithEffect == 1 && report.counts.unknownWithNeither == 2)
    }

    @Test("A retried send counts by its best outcome")
    func retried() throws {
        var script = try Script()
        script.beginSending("m")
        script.add(.sentUnknown(script.message("m")))
        script.send("m", at: 0)
        let report = script.check()
        #expect(report.counts.sentOK == 1 && report.counts.sentUnknown == 0)
    }

    @Test("Nothing is lost or stuck before all was drained, nor once another send begins")
    func notDrained() throws {
        var script = try Script()
        script.send("m", at: 0)
        script.add(.end(of: script.partition, offset: 1))
        #expect(script.check().isSound)
        script.add(.drained)
        #expect(script.check().kinds == [.stuck])
        script.beginSending("another")
        #expect(script.check().isSound && !script.check().isDrained)
    }

    @Test("A commit past a record that nobody handled is premature, and the record lost")
    func passedUnhandled() throws {
        var script = try Script()
        script.send("m", at: 0)
        script.deliver("m", at: 0)
        script.commit(1)
        script.add(.drained)
        let report = script.check()
        #expect(report.kinds == [.lostEffect, .prematureCommit], "\(report)")
        #expect(report.findings.map(\.events) == [[2, 3, 4], [4, 1]])
    }

    @Test("A record that only becomes known behind the commit that passed it is found all the same")
    func knownLate() throws {
        var script = try Script()
        let commits: [Int64] = [2, 5, 9]
        for offset in commits { script.commit(offset) }
        for (name, offset) in [("a", Int64(7)), ("b", 3), ("c", 9)] {
            script.add(.appended(script.message(name), script.partition, offset: offset))
        }
        let report = script.check()
        #expect(report.kinds == [.prematureCommit])
        #expect(report.findings.map(\.events) == [[2, 3], [1, 4]])
    }

    @Test("A zombie's commit moves nothing: the next one is neither lower nor past what is not done")
    func zombieCommit() throws {
        var script = try Script()
        for offset in 0..<2 { script.send("m\(offset)", at: Int64(offset)) }
        script.add(.assigned(script.partition, generation: 2, from: 0))
        script.commit(2, generation: 1)
        script.effect("m0", at: 0, generation: 2)
        script.commit(1, generation: 2)
        #expect(script.check().kinds == [.zombieWrite])
    }

    @Test("Of each kind the first findings are listed, and all are counted")
    func limit() throws {
        var script = try Script()
        for _ in 0..<10 { script.effect("m", at: 0) }
        let report = script.check(limit: 3)
        #expect(report.findings.count == 3 && report.count(of: .duplicateEffect) == 9)
        #expect(script.check(limit: 0).findings.isEmpty && !script.check(limit: 0).isSound)
    }

    @Test("A finding reads as a sentence of events")
    func description() throws {
        var script = try Script()
        script.effect("order-1", at: 5)
        script.effect("order-1", at: 6)
        #expect(
            script.check().findings.map(\.description) == [
                "duplicate effect: #0 effect order-1 orders/0@5 generation 1; #1 effect order-1 orders/0@6 generation 1"
            ]
        )
    }

    @Test("A history that had no room for all events is not sound")
    func dropped() throws {
        var script = try Script(maximumEvents: 3)
        script.send("m", at: 0)
        #expect(script.check().isSound)
        script.effect("m", at: 0)
        let report = script.check()
        #expect(!report.isSound && report.droppedEvents == 1 && report.events == 3 && report.findings.isEmpty)
    }

    @Test("Offsets anywhere in their range take memory by the event")
    func farOffsets() throws {
        var script = try Script(maximumEvents: 100_000)
        let far: [Int64] = [.max, .max - 1, 1 << 62, 1 << 40, 0]
        for (index, offset) in far.enumerated() {
            script.send("m\(index)", at: offset)
            script.deliver("m\(index)", at: offset)
            script.effect("m\(index)", at: offset)
        }
        for offset in far.reversed() { script.commit(offset) }
        for index in 0..<10_000 { script.deliver("m", at: Int64(index) << 40) }
        #expect(script.check().count(of: .prematureCommit) == 10_000 - 2)
    }
}
