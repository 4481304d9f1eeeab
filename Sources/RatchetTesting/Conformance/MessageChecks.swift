import Ratchet

/// What a message must be when it arrives, and who may ask for it.
enum MessageChecks {
    static let all = [
        Promise("Key, headers and payload arrive as they were sent") { trial in
            let topic = try await trial.topic()
            let sent = messages(topic)
            let sink = try await trial.broker.sink()
            let failures = try await sink.send(OutgoingBatch(sent))
            try trial.expect(
                failures.isEmpty,
                "expected all \(sent.count) messages to be taken, and these failed: \(brief(failures))"
            )
            try await compare(trial, topic, sent)
        },
        Promise("A payload of the largest size arrives whole, and what is behind it too") { trial in
            let topic = try await trial.topic()
            let large = (0..<trial.settings.largestPayload).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            let sent = [large, Array("behind".utf8)].map {
                OutgoingMessage(to: topic, key: nil as [UInt8]?, payload: $0)
            }
            let sink = try await trial.broker.sink()
            let failures = try await sink.send(OutgoingBatch(sent))
            try trial.expect(
                failures.isEmpty,
                "expected \(large.count) bytes to be taken, and these failed: \(brief(failures))"
            )
            try await compare(trial, topic, sent)
        },
        Promise("A source names its group, its cluster and its system, each time the same") { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            let first = try await trial.broker.source(of: [topic], group: group)
            let second = try await trial.broker.source(of: [topic], group: group)
            try trial.expect(first.group == group, "expected group '\(group)', and got '\(first.group)'")
            try trial.expect(
                !first.cluster.isEmpty && first.cluster == second.cluster,
                "expected one cluster's name, and got '\(first.cluster)' and '\(second.cluster)'"
            )
            try trial.expect(
                !first.system.isEmpty && first.system == second.system,
                "expected one system's name, and got '\(first.system)' and '\(second.system)'"
            )
        },
        Promise("A subscription to a topic that does not exist is refused") { trial in
            let topic = trial.newName()
            do {
                _ = try await trial.join(trial.newName(), topic)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                return
            }
            throw ConformanceFailure("expected an error for topic '\(topic)', which was never made, and got a session")
        },
    ]

    /// A message of each kind.
    private static func messages(_ topic: String) -> [OutgoingMessage] {
        let allBytes = (UInt8.min...UInt8.max).map { $0 }
        let headers = [
            Header("text", "värde"), Header("binary", allBytes), Header("empty", []), Header("twice", "1"),
            Header("twice", "2"), Header("ключ", [0]), .messageID("id-1"),
        ]
        return [
            OutgoingMessage(to: topic, key: nil as [UInt8]?, payload: [1]),
            OutgoingMessage(to: topic, key: [0], payload: [0]),
            OutgoingMessage(to: topic, key: allBytes, payload: allBytes, headers: headers),
            OutgoingMessage(to: topic, key: "no payload", payload: []),
            OutgoingMessage(to: topic, key: nil as [UInt8]?, payload: [], headers: headers),
            OutgoingMessage(to: topic, key: nil as [UInt8]?, payload: []),
        ]
    }

    /// What a member is delivered and what a reader from outside finds must both be what was sent.
    private static func compare(_ trial: Trial, _ topic: String, _ sent: [OutgoingMessage]) async throws {
        let member = try await trial.join(trial.newName(), topic)
        _ = try await member.started()
        var delivered: [Message] = []
        while delivered.count < sent.count {
            let event = try await member.next()
            guard case .messages(let batch) = event else {
                throw ConformanceFailure("expected messages, and got \(event.story)")
            }
            delivered += (0..<batch.count).map { batch[$0] }
        }
        try trial.expect(
            delivered.count == sent.count,
            "expected \(sent.count) messages, and got \(delivered.count)"
        )
        for (index, (sent, message)) in zip(sent, delivered).enumerated() {
            try trial.expect(
                message.key == sent.key,
                "message \(index): sent key \(brief(sent.key)), got \(brief(message.key))"
            )
            try trial.expect(
                message.headers == sent.headers,
                "message \(index): sent headers \(brief(sent.headers)), got \(brief(message.headers))"
            )
            try trial.expect(
                message.payload == sent.payload,
                "message \(index): sent \(brief(sent.payload)), got \(brief(message.payload))"
            )
        }
    }
}
