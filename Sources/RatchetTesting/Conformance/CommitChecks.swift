import Ratchet

/// What a commit must mean.
enum CommitChecks {
    static let all = [
        Promise("What was not committed comes again, and what was does not") { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a", "b", "c", "d", "e"], to: topic)
            let first = try await trial.join(group, topic, as: "the first member")
            let assignment = try await first.started()
            let messages = try await first.expect(["a", "b", "c", "d", "e"])
            try await first.commit(assignment, messages[2].offset + 1)
            await first.close()
            let second = try await trial.join(group, topic, as: "the second member")
            _ = try await second.started()
            try await second.expect(["d", "e"])
            try await trial.produce(["f"], to: topic)
            try await second.expect(["f"])
        },
        Promise("The next assignment tells what was committed last", .log) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce((0..<6).map { "\($0)" }, to: topic)
            var expected: Int64?
            for step in [2, 1, 3] {
                let member = try await trial.join(group, topic)
                let assignment = try await member.assigned()[0]
                try expect(trial, committed: expected, in: assignment)
                let start = expected ?? assignment.log.lowerBound
                for offset in start...start + Int64(step) { try await member.commit(assignment, offset) }
                expected = start + Int64(step)
                await member.close()
            }
            let last = try await trial.join(group, topic)
            try expect(trial, committed: expected, in: try await last.assigned()[0])
        },
        Promise("A commit keeps its metadata, up to 4,096 bytes", [.log, .commitMetadata]) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a"], to: topic)
            var expected: String?
            for metadata in ["ratchet ü \"quoted\"", String(repeating: "m", count: 4_096), ""] {
                let member = try await trial.join(group, topic)
                let assignment = try await member.assigned()[0]
                try trial.expect(
                    assignment.committed?.metadata == expected,
                    "expected the metadata \(brief(expected.map { Array($0.utf8) })), "
                        + "and got \(brief(assignment.committed.map { Array($0.metadata.utf8) }))"
                )
                try await member.commit(assignment, assignment.log.lowerBound + 1, metadata: metadata)
                expected = metadata
                await member.close()
            }
        },
        Promise("To commit twice changes nothing", .log) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a", "b"], to: topic)
            let member = try await trial.join(group, topic)
            let assignment = try await member.assigned()[0]
            let offset = assignment.log.lowerBound + 1
            for _ in 0..<3 { try await member.commit(assignment, offset) }
            await member.close()
            let next = try await trial.join(group, topic, as: "the next member")
            try expect(trial, committed: offset, in: try await next.assigned()[0])
        },
        Promise("Several partitions are committed at once", .log) { trial in
            let (one, other, group) = (try await trial.topic(), try await trial.topic(), trial.newName())
            for topic in [one, other] { try await trial.produce(["a", "b"], to: topic) }
            let member = try await trial.join(group, one, other)
            let commits = try await member.assigned(2).enumerated().map { index, assignment in
                OffsetCommit(
                    partition: assignment.partition,
                    offset: assignment.log.lowerBound + Int64(index + 1),
                    generation: assignment.generation,
                    metadata: ""
                )
            }
            try await member.session.commit(commits)
            await member.close()
            let next = try await trial.join(group, one, other, as: "the next member")
            for (commit, assignment) in zip(commits, try await next.assigned(2)) {
                try expect(trial, committed: commit.offset, in: assignment)
            }
        },
        Promise("A session that is closed commits nothing", .log) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a", "b"], to: topic)
            let member = try await trial.join(group, topic)
            let assignment = try await member.assigned()[0]
            await member.close()
            try await expectRefusal(trial, "a commit by a session that is closed") {
                try await member.commit(assignment, assignment.log.lowerBound + 1)
            }
            let next = try await trial.join(group, topic, as: "the next member")
            try expect(trial, committed: nil, in: try await next.assigned()[0])
        },
        Promise("What was confirmed and what was committed is there after a restart", [.log, .restarts]) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            let sent = ["a", "b", "c"].map {
                OutgoingMessage(to: topic, key: nil as [UInt8]?, payload: Array($0.utf8))
            }
            let failures = try await trial.broker.sink().send(OutgoingBatch(sent))
            try trial.expect(
                failures.isEmpty,
                "expected all messages to be taken, and these failed: \(brief(failures))"
            )
            let member = try await trial.join(group, topic)
            let assignment = try await member.started()
            let offset = try await member.expect(["a", "b", "c"])[1].offset
            try await member.commit(assignment, offset)
            await member.close()
            trial.note("the broker is restarted")
            try await trial.broker.restart()
            let next = try await trial.join(group, topic, as: "the next member")
            let later = try await next.started()
            try expect(trial, committed: offset, in: later)
            try await next.expect(["b", "c"])
        },
    ]

    static func expect(_ trial: Trial, committed: Int64?, in assignment: Assignment) throws {
        try trial.expect(
            assignment.committed?.offset == committed,
            "expected \(assignment.partition) to be told with the committed offset "
                + "\(committed.map { "\($0)" } ?? "none"), and got \(assignment.committed.map { "\($0.offset)" } ?? "none")"
        )
    }

    /// Expects ``SourceError``, with one of these codes if any are given.
    static func expectRefusal(
        _ trial: Trial,
        _ what: String,
        _ codes: [SourceError.Code] = [],
        _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch let error as SourceError where codes.isEmpty || codes.contains(error.code) {
            return trial.note("\(what) is refused")
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw ConformanceFailure("expected \(what) to be refused with SourceError \(codes), and got \(error)")
        }
        throw ConformanceFailure("expected \(what) to be refused, and it was taken")
    }
}
