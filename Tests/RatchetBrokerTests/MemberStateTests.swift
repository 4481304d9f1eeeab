import Ratchet
import Testing

@testable import RatchetBroker

@Suite struct MemberStateTests {
    private let partition = TopicPartition("t", 0)

    private func state(end: Int64) -> MemberState {
        var row = PartitionRow()
        row.end = end
        let log = PartitionLog(uid: 0, partition: partition, settings: TopicSettings(), row: row, home: nil)
        var state = MemberState(seen: .zero)
        state.fetches.append(.init(log: log, generation: 1))
        return state
    }

    private func read(_ state: inout MemberState) throws -> MemberState.Fetch {
        guard case .read(let fetch) = state.step() else { throw Unexpected(.closed) }
        return fetch
    }

    @Test("What was read while the partition was paused, revoked, moved or taken away is not delivered")
    func lateReads() throws {
        let changes: [(inout MemberState) -> Void] = [
            { _ = $0.setPaused(true, TopicPartition("t", 0)) },
            { $0.revoke([TopicPartition("t", 0)]) },
            { _ = $0.start(TopicPartition("t", 0), at: 2) },
            { $0.fetches.removeAll() },
            { state in
                let log = state.fetches[0].log
                state.fetches = [.init(log: log, generation: 2, position: 0)]
            },
        ]
        for change in changes {
            var state = state(end: 5)
            _ = state.start(partition, at: 0)
            let fetch = try read(&state)
            change(&state)
            let position = state.fetches.first?.position
            let isDelivered = state.advance(fetch, past: LogReader.Found(batch: nil, next: 5), nil)
            #expect(!isDelivered)
            #expect(state.fetches.first?.position == position)
        }
        var state = state(end: 5)
        _ = state.start(partition, at: 0)
        let fetch = try read(&state)
        let isDelivered = state.advance(fetch, past: LogReader.Found(batch: nil, next: 5), nil)
        #expect(isDelivered)
        guard case .wait = state.step() else {
            Issue.record("a partition at its end is read")
            return
        }
    }

    /// A partition that is assigned and that nobody leads.
    private func leaderless() -> MemberState {
        let log = PartitionLog(
            uid: 0,
            partition: partition,
            settings: TopicSettings(),
            row: PartitionRow(),
            home: nil,
            isReplicated: true
        )
        var state = MemberState(seen: .zero)
        state.fetches.append(.init(log: log, generation: 1))
        let assignment = Assignment(partition: partition, topicID: nil, generation: 1, committed: nil, log: 0..<0)
        _ = state.post(.assigned([assignment]))
        return state
    }

    @Test("An assignment that waits for a leader waits on when something else is told")
    func waitingAssignment() {
        var state = leaderless()
        guard case .wait = state.step() else {
            Issue.record("it was told")
            return
        }
        let other = TopicPartition("u", 0)
        _ = state.post(.revoking([other], within: .zero))
        guard case .event(.revoking([other], _)) = state.step(), case .wait = state.step() else {
            Issue.record("it was told behind another event")
            return
        }
    }

    @Test("An assignment that waits for a leader is never told once it is revoked or lost", arguments: [false, true])
    func goneAssignment(isLost: Bool) {
        var state = leaderless()
        if isLost {
            _ = state.drop { _ in true }
            _ = state.post(.lost([partition]))
            guard case .event(.lost) = state.step() else {
                Issue.record("the loss is not told first")
                return
            }
        } else {
            state.revoke([partition])
            _ = state.post(.revoking([partition], within: .zero))
            guard case .event(.revoking) = state.step() else {
                Issue.record("the revocation is not told first")
                return
            }
        }
        guard case .wait = state.step() else {
            Issue.record("it was told afterwards")
            return
        }
    }

    @Test("Events come before messages, an end before everything, an eviction after what came before it")
    func order() throws {
        var state = state(end: 5)
        _ = state.start(partition, at: 0)
        _ = state.post(.lost([partition]))
        state.evict()
        guard case .event(.lost) = state.step() else { throw Unexpected(.closed) }
        guard case .rejoin = state.step() else { throw Unexpected(.closed) }
        _ = try read(&state)
        _ = state.post(.lost([partition]))
        _ = state.end(nil)
        _ = state.post(.lost([partition]))
        for _ in 0..<2 {
            guard case .event(.closed) = state.step() else { throw Unexpected(.closed) }
        }
    }

    @Test("That what comes next is gone is told once for each start, and not of what is paused or given back")
    func gaps() throws {
        func told(_ change: (inout MemberState) -> Void = { _ in }) throws -> OffsetGap? {
            var state = state(end: 5)
            _ = state.start(partition, at: 7)
            let fetch = try read(&state)
            change(&state)
            guard case .outOfRange(let gap)? = state.tellGap(fetch) else { return nil }
            guard case .wait = state.step() else { throw Unexpected(.closed) }
            _ = state.start(partition, at: 6)
            let again = try read(&state)
            guard case .outOfRange(let next)? = state.tellGap(again) else { throw Unexpected(.closed) }
            #expect(next.position == 6)
            return gap
        }
        #expect(try told() == OffsetGap(partition: partition, generation: 1, position: 7, log: 0..<5))
        #expect(try told { _ = $0.setPaused(true, TopicPartition("t", 0)) } == nil)
        #expect(try told { $0.revoke([TopicPartition("t", 0)]) } == nil)
        #expect(try told { _ = $0.start(TopicPartition("t", 0), at: 2) } == nil)
        #expect(try told { $0.fetches.removeAll() } == nil)
    }
}
