import Testing

@testable import RatchetBroker

@Suite("A replica")
struct ReplicaTests {
    private static func leadership(leader: Int? = 0, epoch: Int32 = 2, inSync: [Int] = [0, 1, 2]) -> Leadership {
        var leadership = Leadership(replicas: [0, 1, 2], minimum: 2)
        (leadership.leader, leadership.epoch, leadership.inSync) = (leader, epoch, inSync)
        leadership.version = Int64(epoch) * 10
        return leadership
    }

    /// Of a log of ten records of epoch 1.
    private static func replica(_ node: Int, end: Int64 = 10) -> Replica {
        let log = Replica.LogState(start: 0, end: end, epochs: LeaderEpochs([.init(epoch: 1, start: 0)]))
        return Replica(node: node, life: 1, log: log, highWatermark: 0, lagTime: .seconds(10))
    }

    private static func leader(inSync: [Int] = [0, 1, 2]) -> Replica {
        var leader = replica(0)
        _ = leader.handle(.told(leadership(inSync: inSync)), now: .zero)
        return leader
    }

    private static func fetch(_ offset: Int64, epoch: Int32 = 2, life: Int = 1, lastEpoch: Int32? = 1) -> ReplicaMessage
    {
        .fetch(.init(epoch: epoch, life: life, offset: offset, lastEpoch: lastEpoch))
    }

    @Test("The high watermark is what all in-sync replicas have")
    func highWatermark() {
        var leader = Self.leader()
        _ = leader.handle(.received(Self.fetch(10), from: 1), now: .zero)
        #expect(leader.highWatermark == 0)
        let actions = leader.handle(.received(Self.fetch(7), from: 2), now: .zero)
        #expect(actions.contains(.advanced(to: 7)))
        #expect(leader.highWatermark == 7)
    }

    @Test("A fetch under another epoch, or of an earlier life, counts for nothing")
    func outdated() {
        var leader = Self.leader()
        _ = leader.handle(.received(Self.fetch(10, life: 2), from: 1), now: .zero)
        #expect(leader.handle(.received(Self.fetch(10, epoch: 1), from: 2), now: .zero).isEmpty)
        _ = leader.handle(.received(Self.fetch(10), from: 2), now: .zero)
        #expect(leader.highWatermark == 10)
        #expect(leader.handle(.received(Self.fetch(10, life: 1), from: 1), now: .zero).isEmpty)
    }

    @Test("With too few in sync nothing becomes visible")
    func tooFew() {
        var leader = Self.leader(inSync: [0])
        _ = leader.handle(.writing, now: .zero)
        let log = Replica.LogState(start: 0, end: 11, epochs: leader.log.epochs)
        #expect(leader.handle(.written(log), now: .zero).isEmpty)
        #expect(leader.highWatermark == 0)
    }

    @Test("A follower that lags for longer than the limit leaves, and one that has caught up comes back")
    func lags() throws {
        var leader = Self.leader()
        _ = leader.handle(.received(Self.fetch(10), from: 1), now: .seconds(9))
        #expect(leader.handle(.tick, now: .seconds(10)).isEmpty)
        let actions = leader.handle(.tick, now: .seconds(11))
        guard case .ask(let change) = actions.first else {
            Issue.record("nothing asked: \(actions)")
            return
        }
        #expect(change.members == [0, 1])
        var smaller = Self.leadership(inSync: [0, 1])
        smaller.version += 1
        #expect(leader.handle(.told(smaller), now: .seconds(11)) == [.advanced(to: 10)])
        let back = leader.handle(.received(Self.fetch(10), from: 2), now: .seconds(12))
        guard case .ask(let addition) = back.first else {
            Issue.record("nothing asked: \(back)")
            return
        }
        #expect(addition.members == [0, 1, 2])
        #expect(addition.additions == [.init(node: 2, life: 1)])
    }

    @Test("A replica that may be in sync by now holds the high watermark back already")
    func pending() {
        var leader = Self.leader(inSync: [0, 1])
        _ = leader.handle(.received(Self.fetch(10), from: 1), now: .zero)
        _ = leader.handle(.received(Self.fetch(10), from: 2), now: .zero)
        _ = leader.handle(.writing, now: .zero)
        _ = leader.handle(.written(.init(start: 0, end: 12)), now: .zero)
        _ = leader.handle(.received(Self.fetch(12, lastEpoch: 2), from: 1), now: .zero)
        #expect(leader.highWatermark == 10)
        _ = leader.handle(.refused(number: 1), now: .zero)
        _ = leader.handle(.received(Self.fetch(12, lastEpoch: 2), from: 1), now: .zero)
        #expect(leader.highWatermark == 12)
    }

    @Test("Records of a leader that others have not followed are cut off by epoch")
    func diverges() {
        var leader = Self.leader()
        _ = leader.handle(.writing, now: .zero)
        _ = leader.handle(.written(.init(start: 0, end: 20)), now: .zero)
        // Of epoch 1 the follower has more than the leader had when it began epoch 2.
        var follower = Self.replica(1, end: 13)
        let asked = follower.handle(.told(Self.leadership()), now: .zero)
        guard case .send(let fetch, 0) = asked.last else {
            Issue.record("no fetch: \(asked)")
            return
        }
        let answers = leader.handle(.received(fetch, from: 1), now: .zero)
        guard case .send(let answer, 1) = answers.first else {
            Issue.record("no answer: \(answers)")
            return
        }
        #expect(follower.handle(.received(answer, from: 0), now: .zero) == [.truncate(to: 10)])
        // The same answer again, when the log has grown to that length with other records.
        var log = follower.log
        log.truncate(to: 10)
        _ = follower.handle(.written(log), now: .zero)
        let records = ReplicaMessage.Records(
            epoch: 2,
            from: 10,
            end: 13,
            start: 0,
            epochs: leader.log.epochs,
            highWatermark: 0
        )
        #expect(follower.handle(.received(.records(records), from: 0), now: .zero) == [.copy(records)])
        log.append(records, to: 13)
        _ = follower.handle(.written(log), now: .zero)
        #expect(follower.handle(.received(answer, from: 0), now: .zero).isEmpty)
    }

    @Test("Another leader waits until what is being written is written")
    func waits() {
        var leader = Self.leader()
        _ = leader.handle(.writing, now: .zero)
        #expect(leader.handle(.told(Self.leadership(leader: 1, epoch: 3)), now: .zero).isEmpty)
        #expect(leader.leadingEpoch == 2)
        #expect(leader.isBeingReplaced)
        let actions = leader.handle(.written(.init(start: 0, end: 11)), now: .zero)
        #expect(actions.first == .follows)
        #expect(leader.leadingEpoch == nil)
    }

    @Test("A follower before the start of the leader's log begins there")
    func restarts() {
        var leader = Self.leader()
        _ = leader.handle(.trimmed(start: 8), now: .zero)
        let actions = leader.handle(.received(Self.fetch(3), from: 1), now: .zero)
        #expect(actions == [.send(.restart(epoch: 2, at: 8), to: 1)])
        var follower = Self.replica(1, end: 3)
        _ = follower.handle(.told(Self.leadership()), now: .zero)
        #expect(follower.handle(.received(.restart(epoch: 2, at: 8), from: 0), now: .zero) == [.restart(at: 8)])
    }
}
