import Ratchet

/// What an older generation must not do.
enum FencingChecks {
    static let all = [
        Promise("Each assignment of a partition has a higher generation than the one before", .fencing) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            var last: Int64?
            for _ in 0..<3 {
                let member = try await trial.join(group, topic)
                let generation = try await member.assigned()[0].generation
                if let last {
                    try trial.expect(generation > last, "expected a generation above \(last), and got \(generation)")
                }
                last = generation
                await member.close()
            }
        },
        Promise("Generations rise across a restart", [.fencing, .restarts]) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            let member = try await trial.join(group, topic)
            let before = try await member.assigned()[0].generation
            await member.close()
            trial.note("the broker is restarted")
            try await trial.broker.restart()
            let after = try await trial.join(group, topic, as: "the next member").assigned()[0].generation
            try trial.expect(after > before, "expected a generation above \(before), and got \(after)")
        },
        Promise("A commit of an older generation is refused and changes nothing", [.log, .fencing]) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a", "b", "c"], to: topic)
            let first = try await trial.join(group, topic, as: "the first member")
            let old = try await first.assigned()[0]
            await first.close()
            let second = try await trial.join(group, topic, as: "the second member")
            let new = try await second.assigned()[0]
            let offset = new.log.lowerBound + 1
            try await second.commit(new, offset)
            try await CommitChecks.expectRefusal(trial, "a commit of generation \(old.generation)", [.fenced]) {
                try await second.commit(old, offset + 1)
            }
            await second.close()
            let third = try await trial.join(group, topic, as: "the third member")
            try CommitChecks.expect(trial, committed: offset, in: try await third.assigned()[0])
        },
        Promise("A member that is taken for dead and goes on commits nothing", [.log, .fencing, .eviction]) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a", "b", "c"], to: topic)
            let zombie = try await trial.join(group, topic, as: "the zombie")
            let old = try await zombie.started()
            try await zombie.expect(["a", "b", "c"])
            trial.note("the zombie is silent for too long")
            try await trial.broker.evictSilent()
            let second = try await trial.join(group, topic, as: "the second member")
            let new = try await second.assigned()[0]
            try CommitChecks.expect(trial, committed: nil, in: new)
            let offset = new.log.lowerBound + 1
            try await CommitChecks.expectRefusal(trial, "a commit of the zombie", [.fenced]) {
                try await zombie.commit(old, offset + 1)
            }
            try await second.commit(new, offset)
            try await CommitChecks.expectRefusal(trial, "another commit of the zombie", [.fenced]) {
                try await zombie.commit(old, offset + 2)
            }
            let event = try await zombie.next()
            guard case .lost([old.partition]) = event else {
                throw ConformanceFailure("expected the zombie to be told that it is one, and it got \(event.story)")
            }
            await zombie.close()
            await second.close()
            let third = try await trial.join(group, topic, as: "the third member")
            try CommitChecks.expect(trial, committed: offset, in: try await third.assigned()[0])
        },
        Promise("Of several commits one of which is refused, none is made", [.log, .fencing]) { trial in
            let (one, other, group) = (try await trial.topic(), try await trial.topic(), trial.newName())
            for topic in [one, other] { try await trial.produce(["a"], to: topic) }
            let member = try await trial.join(group, one, other)
            let assignments = try await member.assigned(2)
            let commits = assignments.enumerated().map { index, assignment in
                OffsetCommit(
                    partition: assignment.partition,
                    offset: assignment.log.lowerBound + 1,
                    generation: assignment.generation - Int64(index),
                    metadata: ""
                )
            }
            try await CommitChecks.expectRefusal(trial, "a commit with one of an older generation", [.fenced]) {
                try await member.session.commit(commits)
            }
            await member.close()
            let next = try await trial.join(group, one, other, as: "the next member")
            for assignment in try await next.assigned(2) {
                try CommitChecks.expect(trial, committed: nil, in: assignment)
            }
        },
        Promise("A partition is not started under an older generation", .fencing) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a"], to: topic)
            let first = try await trial.join(group, topic, as: "the first member")
            let old = try await first.assigned()[0]
            await first.close()
            let second = try await trial.join(group, topic, as: "the second member")
            let new = try await second.assigned()[0]
            let refusals: [SourceError.Code] = [.fenced, .notAssigned, .unknownTopic, .closed]
            try await CommitChecks.expectRefusal(trial, "a start of generation \(old.generation)", refusals) {
                try await second.start(old)
            }
            try await CommitChecks.expectRefusal(trial, "a start by a session that is closed", refusals) {
                try await first.start(old)
            }
            try await second.start(new)
            try await second.expect(["a"])
        },
    ]
}
