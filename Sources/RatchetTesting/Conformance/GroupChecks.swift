import Ratchet

/// How partitions must move among the members of a group.
enum GroupChecks {
    static let all = [
        Promise("A member that leaves gives its partitions up to those who stay", .partitions) { trial in
            let (topic, group) = (try await trial.topic(partitions: 2), trial.newName())
            let first = try await trial.join(group, topic, as: "the first member")
            _ = try await first.assigned(2)
            await first.close()
            let second = try await trial.join(group, topic, as: "the second member")
            _ = try await second.assigned(2)
        },
        Promise("A revoked partition is the next member's only once it was released", barrier, revocationWaits),
        Promise("A partition that was released is nobody's to commit but its owner's", [barrier, .fencing]) { trial in
            let (topic, group) = (try await trial.topic(partitions: 2), trial.newName())
            for number in 0..<2 { try await trial.produce(["same", "same"], to: topic, partition: number) }
            let first = try await trial.join(group, topic, as: "the first member")
            let assignments = try await first.assigned(2)
            for assignment in assignments { try await first.start(assignment) }
            try await first.expect(["same", "same", "same", "same"])
            let second = try await trial.join(group, topic, as: "the second member")
            let (moving, staying) = try await revoked(trial, first, assignments)
            async let given = second.assigned()
            await first.session.release([moving.partition])
            let new = try await given[0]
            try await CommitChecks.expectRefusal(trial, "a commit of what was released", [.fenced]) {
                try await first.commit(moving, moving.log.lowerBound + 1)
            }
            try await first.commit(staying, staying.log.lowerBound + 1)
            try await second.commit(new, new.log.lowerBound + 2)
            await first.close()
            await second.close()
            let third = try await trial.join(group, topic, as: "the third member")
            let ends = try await third.assigned(2)
            for end in ends {
                let step: Int64 = end.partition == moving.partition ? 2 : 1
                try CommitChecks.expect(trial, committed: end.log.lowerBound + step, in: end)
            }
        },
        Promise("Members share all partitions, and none is two members' at a time", .partitions, sharing),
    ]

    private static let barrier: Features = [.log, .partitions, .cooperativeRevocation]

    /// The partition that the member is to give back, and the one that it keeps.
    private static func revoked(
        _ trial: Trial,
        _ member: GroupTrialMember,
        _ assignments: [Assignment]
    ) async throws -> (moving: Assignment, staying: Assignment) {
        let revoked = try await member.revoking()
        guard revoked.count == 1, let moving = assignments.first(where: { $0.partition == revoked[0] }),
            let staying = assignments.first(where: { $0.partition != revoked[0] })
        else { throw ConformanceFailure("expected one of two partitions to be revoked, and got \(revoked)") }
        return (moving, staying)
    }

    @Sendable private static func revocationWaits(_ trial: Trial) async throws {
        let (topic, group) = (try await trial.topic(partitions: 2), trial.newName())
        for number in 0..<2 { try await trial.produce(["before"], to: topic, partition: number) }
        let first = try await trial.join(group, topic, as: "the first member")
        let assignments = try await first.assigned(2)
        for assignment in assignments { try await first.start(assignment) }
        try await first.expect(["before", "before"])
        let second = try await trial.join(group, topic, as: "the second member")
        let (moving, staying) = try await revoked(trial, first, assignments)
        let released = Latch()
        async let given = {
            let assignment = try await second.assigned()[0]
            try trial.expect(released.isOpen, "\(moving.partition) was given away before it was released")
            return assignment
        }()
        // What stays goes on, what moves is silent but can still be committed: that is what the time is for.
        for round in 0..<3 {
            try await trial.produce(["moved-\(round)"], to: topic, partition: moving.partition.partition)
            try await trial.produce(["stays-\(round)"], to: topic, partition: staying.partition.partition)
            try await first.expect(["stays-\(round)"])
        }
        let offset = moving.log.lowerBound + 1
        try await first.commit(moving, offset)
        released.open()
        trial.note("the first member releases \(moving.partition)")
        await first.session.release([moving.partition])
        let new = try await given
        try trial.expect(
            new.partition == moving.partition,
            "expected \(moving.partition) to move, and \(new.partition) did"
        )
        try CommitChecks.expect(trial, committed: offset, in: new)
        try await second.start(new)
        try await second.expect((0..<3).map { "moved-\($0)" })
    }

    @Sendable private static func sharing(_ trial: Trial) async throws {
        let (topic, group, ownership) = (try await trial.topic(partitions: 4), trial.newName(), Ownership())
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            var members: [GroupTrialMember] = []
            for name in ["a", "b", "c"] {
                let member = try await trial.join(group, topic, as: name)
                members.append(member)
                tasks.addTask { await ownership.follow(member) }
                trial.note("waits until \(members.map(\.name)) share the partitions")
                try await ownership.untilShared(among: members.map(\.name), partitions: 4)
            }
            ownership.disownAll(of: "a")
            await members[0].close()
            trial.note("waits until b and c share the partitions")
            try await ownership.untilShared(among: ["b", "c"], partitions: 4)
            for number in 0..<4 { try await trial.produce(["to-\(number)"], to: topic, partition: number) }
            try await ownership.untilDelivered((0..<4).map { "to-\($0)" })
            for member in members { await member.close() }
            try await tasks.waitForAll()
        }
    }
}
