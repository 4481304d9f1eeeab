import Ratchet

/// What a sink must do.
enum SinkChecks {
    static let all = [
        Promise("What a sink confirms another reader can read") { trial in
            let topic = try await trial.topic()
            let sink = try await trial.broker.sink()
            var expected: [String] = []
            for round in 0..<5 {
                let texts = (0..<4).map { "confirmed-\(round)-\($0)" }
                try await send(trial, texts.map { message(to: topic, $0) }, sink)
                expected += texts
                let found = try await trial.contents(of: topic).map(\.text)
                try trial.expect(found == expected, "expected \(expected), and found \(found)")
            }
        },
        Promise("A sink keeps the order of each key") { trial in
            let partitions = trial.features.contains(.keysToPartitions) ? 3 : 1
            let topic = try await trial.topic(partitions: partitions)
            let sink = try await trial.broker.sink()
            for round in 0..<4 {
                let messages = (0..<20).map { index in
                    message(to: topic, "sorted-\(round * 20 + index)", key: "key-\(index % 4)")
                }
                try await send(trial, messages, sink)
            }
            let found = try await trial.contents(of: topic, partitions: partitions)
            for key in 0..<4 {
                let texts = found.filter { $0.key == Array("key-\(key)".utf8) }.map(\.text)
                let expected = stride(from: key, to: 80, by: 4).map { "sorted-\($0)" }
                try trial.expect(texts == expected, "of key-\(key) expected \(expected), and found \(texts)")
            }
        },
        Promise("All messages of a key go to one partition", [.partitions, .keysToPartitions]) { trial in
            let topic = try await trial.topic(partitions: 3)
            let sink = try await trial.broker.sink()
            for _ in 0..<3 {
                try await send(trial, (0..<12).map { message(to: topic, "placed-\($0)", key: "key-\($0)") }, sink)
            }
            var places: [String: Set<Int>] = [:]
            let found = try await trial.contents(of: topic, partitions: 3)
            for message in found { places[message.text, default: []].insert(message.partition) }
            try trial.expect(found.count == 36, "expected 36 messages, and found \(found.count)")
            for (text, partitions) in places.sorted(by: { $0.key < $1.key }) {
                try trial.expect(
                    partitions.count == 1,
                    "'\(text)', of one key, is in partitions \(partitions.sorted())"
                )
            }
            // Any order: the union is the same.
            let used = places.values.reduce(into: Set<Int>()) { $0.formUnion($1) }
            try trial.expect(used.count > 1, "12 keys are all in partition \(used.sorted()) of 3")
        },
        Promise("A message goes to the partition that it names", .partitions) { trial in
            let topic = try await trial.topic(partitions: 3)
            let sink = try await trial.broker.sink()
            let messages = (0..<9).map { message(to: topic, "named-\($0)", key: "one key", partition: $0 % 3) }
            try await send(trial, messages, sink)
            for number in 0..<3 {
                let found = try await trial.broker.contents(of: TopicPartition(topic, number)).map(\.text)
                let expected = stride(from: number, to: 9, by: 3).map { "named-\($0)" }
                try trial.expect(found == expected, "in partition \(number) expected \(expected), and found \(found)")
            }
        },
        Promise("A message to a topic that does not exist fails, and no other") { trial in
            let (topic, unknown) = (try await trial.topic(), trial.newName())
            let sink = try await trial.broker.sink()
            let batch = [
                message(to: topic, "known-0", key: "k"), message(to: unknown, "unknown-1", key: "k"),
                message(to: topic, "known-2", key: "k"), message(to: unknown, "unknown-3"),
                message(to: topic, "known-4"),
            ]
            let failures = try await expectFailures(trial, [1, 3], of: batch, sink)
            for failure in failures {
                try trial.expect(
                    (failure.error as? MessageError)?.code == .unknownTopic,
                    "expected a MessageError, unknown topic, of message \(failure.index), and got \(failure.error)"
                )
            }
            try await expectContents(trial, topic, ["known-0", "known-2", "known-4"])
            try await send(trial, [message(to: topic, "known-5")], sink)
        },
        Promise("With a message that fails, those of its topic and key behind it fail, and no others", .partitions) {
            trial in
            let (topic, other) = (try await trial.topic(), try await trial.topic())
            let batch = [
                message(to: topic, "0", key: "k"), message(to: topic, "1", key: "k", partition: 7),
                message(to: topic, "2", key: "other"), message(to: topic, "3", key: "k"), message(to: topic, "4"),
                message(to: other, "5", key: "k"), message(to: topic, "6", key: "k"),
            ]
            let sink = try await trial.broker.sink()
            try await expectFailures(trial, [1, 3, 6], of: batch, sink)
            try await expectContents(trial, topic, ["0", "2", "4"])
            try await expectContents(trial, other, ["5"])
            try await send(trial, [message(to: topic, "7", key: "k")], sink)
        },
        Promise("A message that is too large fails, with those of its key behind it", .sizeLimit) { trial in
            let topic = try await trial.topic()
            var large = message(to: topic, "", key: "k")
            large.payload = Array(repeating: 1, count: trial.settings.tooLargePayload)
            let batch = [
                message(to: topic, "0", key: "k"), large, message(to: topic, "2", key: "k"), message(to: topic, "3"),
            ]
            let sink = try await trial.broker.sink()
            try await expectFailures(trial, [1, 2], of: batch, sink)
            try await expectContents(trial, topic, ["0", "3"])
        },
        Promise("What is sent again under the same ids arrives under them") { trial in
            let topic = try await trial.topic()
            let sink = try await trial.broker.sink()
            let messages = (0..<4).map { index in
                OutgoingMessage(to: topic, key: "k", payload: [UInt8(index)], headers: [.messageID("again-\(index)")])
            }
            for _ in 0..<2 { try await send(trial, messages, sink) }
            let found = try await trial.contents(of: topic)
            for message in messages {
                let copies = found.filter { $0.headers == message.headers && $0.payload == message.payload }
                try trial.expect(
                    (1...2).contains(copies.count),
                    "expected one or two copies of \(brief(message.headers)), and found \(copies.count)"
                )
            }
            try trial.expect(found.count <= 8, "expected 8 messages at the most, and found \(found.count)")
        },
        Promise("A batch of no messages is sent without a failure") { trial in
            let failures = try await trial.broker.sink().send(OutgoingBatch())
            try trial.expect(failures.isEmpty, "expected no failures, and got \(brief(failures))")
        },
    ]

    private static func message(
        to topic: String,
        _ text: String,
        key: String? = nil,
        partition: Int? = nil
    ) -> OutgoingMessage {
        OutgoingMessage(to: topic, key: key, payload: Array(text.utf8), partition: partition)
    }

    /// Sends messages, all of which must be confirmed.
    private static func send(_ trial: Trial, _ messages: [OutgoingMessage], _ sink: any Sink) async throws {
        try await expectFailures(trial, [], of: messages, sink)
    }

    @discardableResult
    private static func expectFailures(
        _ trial: Trial,
        _ expected: [Int],
        of messages: [OutgoingMessage],
        _ sink: any Sink
    ) async throws -> [SinkFailure] {
        trial.note("sends \(messages.count) messages")
        let failures: [SinkFailure] = try await sink.send(OutgoingBatch(messages))
        try trial.expect(
            failures.map(\.index) == expected,
            "of \(messages.count) messages expected \(expected) to fail, and these did: \(brief(failures))"
        )
        try trial.expect(
            sink.failure == nil,
            "expected a sink that goes on, and it says \(String(describing: sink.failure))"
        )
        return failures
    }

    private static func expectContents(_ trial: Trial, _ topic: String, _ expected: [String]) async throws {
        let found = try await trial.contents(of: topic).map(\.text)
        try trial.expect(found == expected, "in \(topic) expected \(expected), and found \(found)")
    }
}
