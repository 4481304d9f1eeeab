import RatchetTesting
import Testing

@Suite("Corners of a history")
struct HistoryCornerTests {
    @Test("A record that a commit passed undone is not excused by retention that removes it afterwards")
    func removedAfterwards() throws {
        var script = try Script()
        script.send("m", at: 0)
        script.commit(1)
        let commit = script.history.events.count - 1
        script.add(.removed(script.message("m"), script.partition, offset: 0))
        script.add(.end(of: script.partition, offset: 1))
        script.add(.drained)
        let report = script.check()
        #expect(report.kinds == [.prematureCommit], "\(report)")
        #expect(report.findings.map(\.events) == [[commit, 1]])
    }

    @Test("A record that was removed before the commit, or is only told of once it is gone, may be passed")
    func removedBefore() throws {
        var script = try Script()
        script.send("m0", at: 0)
        script.add(.removed(script.message("m0"), script.partition, offset: 0))
        script.commit(2)
        script.add(.appended(script.message("m1"), script.partition, offset: 1))
        script.add(.removed(script.message("m1"), script.partition, offset: 1))
        script.add(.end(of: script.partition, offset: 2))
        script.add(.drained)
        #expect(script.check().isSound, "\(script.check())")
    }

    @Test("An older generation's handler that begins beside a newer one's is found once that one is seen to end")
    func zombieBegins() throws {
        var script = try Script()
        script.start("new", at: 1, generation: 2)
        script.start("old", at: 0, generation: 1)
        #expect(script.check().isSound)
        script.fail("new", at: 1, generation: 2)
        #expect(script.check().findings.map(\.events) == [[0, 1]])
        script.start("newer", at: 2, generation: 2)
        script.fail("old", at: 0, generation: 1)
        let report = script.check()
        #expect(report.kinds == [.concurrentHandlers])
        #expect(report.findings.map(\.events) == [[0, 1], [1, 3]])
    }

    @Test("A handler that outlives two newer generations' beginnings is found all the same")
    func outlived() throws {
        var script = try Script()
        for generation in 1...3 { script.start("m", at: 0, generation: Int64(generation)) }
        script.fail("m", at: 0, generation: 1)
        let report = script.check()
        #expect(report.kinds == [.concurrentHandlers])
        #expect(report.findings.map(\.events) == [[0, 1]])
    }

    @Test("A send that failed for sure has put no copy into a queue: one ack is all there may be")
    func refusedCopy() throws {
        var script = try Script(kind: .queue)
        script.beginSending("m")
        script.add(.sentFailed(script.message("m")))
        script.beginSending("m")
        script.add(.sentOK(script.message("m"), script.partition))
        script.deliver("m", at: 1)
        script.effect("m", at: 1)
        script.add(.acked(script.message("m"), script.partition, tag: 1))
        #expect(script.check().isSound)
        script.deliver("m", at: 2)
        #expect(script.check().kinds == [.redeliveryAfterAck])
    }

    @Test("A record that the log held and that lies behind its end now is absent")
    func truncated() throws {
        var script = try Script()
        for offset in 0..<3 { script.send("m\(offset)", at: Int64(offset)) }
        for offset in 0..<2 { script.effect("m\(offset)", at: Int64(offset)) }
        script.commit(2)
        script.add(.end(of: script.partition, offset: 2))
        script.add(.drained)
        let report = script.check()
        #expect(report.kinds == [.confirmedButAbsent], "\(report)")
        #expect(report.findings.first?.description.contains("m2") == true)
    }

    @Test("An effect or dead letter of a message that nobody sent comes from nowhere, where the history tells of sends")
    func effectOfNobody() throws {
        var script = try Script()
        script.effect("m1", at: 1)
        #expect(script.check().isSound)
        script.send("m0", at: 0)
        #expect(script.check().findings.map(\.events) == [[0]])
        script.add(.deadLettered(script.message("m2"), script.partition, offset: 2, generation: 1))
        let report = script.check()
        #expect(report.kinds == [.phantomRead] && report.count(of: .phantomRead) == 2, "\(report)")
    }

    @Test("A log's record has its effect once, also where a copy of its message had one outside of the window between")
    func recordAfterCopy() throws {
        var script = try Script()
        script.effect("m", at: 0)
        script.effect("a", at: 1)
        script.effect("m", at: 2)
        script.effect("b", at: 3)
        #expect(script.check(.init(count: 1)).isSound)
        script.effect("m", at: 0)
        let report = script.check(.init(count: 1))
        #expect(report.kinds == [.duplicateEffect])
        #expect(report.findings.map(\.events) == [[0, 4]])
    }

    @Test("A seek forward excuses no repeat of what was done before its offset, under whatever offset it comes")
    func repeatedBehindSeekForward() throws {
        var script = try Script()
        for offset in 0..<3 { script.effect("m\(offset)", at: Int64(offset)) }
        script.commit(3)
        script.add(.seek(script.partition, to: 5))
        script.effect("m1", at: 6)
        let report = script.check()
        #expect(report.kinds == [.duplicateEffect] && report.counts.reprocessed == 0, "\(report)")
        #expect(report.findings.map(\.events) == [[1, 5]])
    }

    @Test("A seek back excuses a repeat of what was done behind its offset, and not of what a copy before it has done")
    func repeatedBehindSeekBack() throws {
        var script = try Script()
        script.effect("a", at: 0)
        script.effect("b", at: 4)
        script.add(.seek(script.partition, to: 2))
        script.effect("b", at: 7)
        #expect(script.check().isSound && script.check().counts.reprocessed == 1)
        script.effect("a", at: 3)
        #expect(script.check().findings.map(\.events) == [[0, 4]])
        script.effect("b", at: 8)
        #expect(script.check().findings.map(\.events) == [[0, 4], [3, 5]])
    }

    @Test("A seek excuses what was done in its partition, in whichever it is done again; so does reprocessing")
    func repeatedElsewhere() throws {
        var script = try Script()
        let other = try script.partition(1)
        func again(_ script: Script) -> Script {
            var script = script
            script.add(.effect(script.message("m"), other, offset: 9, generation: 1))
            return script
        }
        script.effect("m", at: 4)
        var elsewhere = script
        elsewhere.add(.seek(other, to: 0))
        #expect(again(elsewhere).check().kinds == [.duplicateEffect])
        for event in [History.Event.seek(script.partition, to: 4), .reprocess(script.partition, from: 4)] {
            var sought = script
            sought.add(event)
            #expect(again(sought).check().isSound)
            #expect(again(again(sought)).check().kinds == [.duplicateEffect])
        }
        script.add(.seek(script.partition, to: 5))
        #expect(again(script).check().kinds == [.duplicateEffect])
    }
}
