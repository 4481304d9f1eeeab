import Testing

@testable import Ratchet

@Suite("Pipeline: keys and sizes at their bounds", .timeLimit(.minutes(30)))
struct PipelineInputTests {
    /// Delivers the messages and waits until all are settled.
    private static func run(
        _ bench: PipelineBench,
        _ kind: PipelineBench.Kind,
        _ samples: [SampleMessage],
        configuration: PipelineConfiguration = PipelineBench.configuration,
        keys: KeySource<Message> = .messageID
    ) async throws -> PipelineStatistics {
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration, keys: keys)
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(samples)
            await pipeline.settled(through: [.orders: Int64(samples.count)])
        }
        #expect(error == nil)
        #expect(source.committed() == Int64(samples.count))
        return pipeline.statistics
    }

    @Test("Ids of any length tell events apart, to the last byte", arguments: PipelineBench.Kind.allCases)
    func ids(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        var samples: [SampleMessage] = []
        for length in [1, 64, 65, 10_000] {
            let stem = String(repeating: "i", count: length - 1)
            for id in [stem + "a", stem + "b", stem + "a"] {
                samples.append(SampleMessage(Int64(samples.count), key: "k\(samples.count)", id: id))
            }
        }
        let statistics = try await Self.run(bench, kind, samples)
        #expect(statistics.processed == 8)
        #expect(statistics.duplicates == 4)
        #expect(bench.ledger.keyCount == 8)
        for start in stride(from: 0, to: 12, by: 3) as StrideTo<Int64> {
            let effects = try (start..<start + 3).map { try bench.count($0) }
            #expect(effects[0] + effects[2] == 1)
            #expect(effects[1] == 1)
        }
    }

    @Test(
        "A message that must have an id and has none is a dead letter that says so, and its handler never runs",
        arguments: PipelineBench.Kind.allCases
    )
    func withoutID(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        var misnamed = SampleMessage(2, key: "a", "misnamed")
        misnamed.headers = [Header("Message-ID", "x"), Header("message-id ", "x")]
        let samples = [
            SampleMessage(0, key: "a", "none"), SampleMessage(1, key: "a", id: "", "empty"), misnamed,
            SampleMessage(3, key: "a", id: "x", "fine"),
        ]
        let statistics = try await Self.run(bench, kind, samples)
        #expect(statistics.deadLettered == 3)
        #expect(bench.runs.map(\.offset) == [3])
        let letters = try bench.ledger.reader.deadLetters()
        #expect(letters.map(\.reason) == [.key, .key, .key])
        #expect(letters.allSatisfy { $0.errorMessage.contains("'message-id'") })
        #expect(letters.map(\.payload) == ["none", "empty", "misnamed"].map { Array($0.utf8) })
    }

    @Test("A field that is to be the id and is empty is a dead letter as well", arguments: PipelineBench.Kind.allCases)
    func emptyField(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let samples = [
            SampleMessage(0, id: "x", ""), SampleMessage(1, id: "y", "paid"), SampleMessage(2, id: "z", "paid"),
        ]
        let statistics = try await Self.run(bench, kind, samples, keys: .field { $0.text })
        #expect(statistics.deadLettered == 1)
        #expect(statistics.processed == 1)
        #expect(statistics.duplicates == 1)
        let letter = try #require(try bench.ledger.reader.deadLetters().first)
        #expect(letter.reason == .key)
        #expect(letter.errorMessage.contains("empty"))
    }

    @Test(
        "A key of no bytes is a key like any other: its messages keep their order",
        arguments: PipelineBench.Kind.allCases
    )
    func emptyKey(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let samples = (0..<20).map { SampleMessage($0, key: $0 % 2 == 0 ? "" : "k", id: "id\($0)") }
        let statistics = try await Self.run(bench, kind, samples)
        #expect(statistics.processed == 20)
        let order = bench.runs.map(\.offset).filter { $0 % 2 == 0 }
        #expect(order == order.sorted())
    }

    @Test(
        "A message over the limit on bytes in flight goes through all the same, and whole into a dead letter",
        arguments: PipelineBench.Kind.allCases
    )
    func overLimit(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        var samples = (0..<3).map { SampleMessage($0, key: "k", id: $0 == 1 ? nil : "id\($0)") }
        for index in 0..<2 { samples[index].payload = [UInt8](repeating: UInt8(index), count: 1 << 20) }
        var configuration = PipelineBench.configuration
        configuration.inFlightBytes = 1
        let statistics = try await Self.run(bench, kind, samples, configuration: configuration)
        #expect(statistics.processed == 2)
        let letters = try bench.ledger.reader.deadLetters()
        #expect(letters.map(\.reason) == [.key])
        #expect(letters.map { $0.payload == samples[1].payload } == [true])
    }

    @Test("A record of exactly the largest size can be sent, one byte more cannot")
    func largest() throws {
        let header = Header.messageID("x")
        let room = OutgoingBatch.maximumRecordSize - RecordLayout.fixedSize - RecordLayout.size(of: [header])
        var message = OutgoingMessage(to: "receipts", payload: [UInt8](repeating: 1, count: room), headers: [header])
        var batch = OutgoingBatch()
        try batch.append(message)
        #expect(batch.byteCount == OutgoingBatch.maximumRecordSize)
        message.payload.append(1)
        let error = #expect(throws: MessageError.self) { try batch.append(message) }
        #expect(error?.code == .tooLarge)
        #expect(batch.count == 1)
    }

    @Test(
        "What is too large or malformed to be published fails its message alone",
        arguments: PipelineBench.Kind.allCases
    )
    func publishing(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let sink = ScriptedSink { _ in [] }
        var configuration = PipelineBench.configuration
        configuration.retries = .never()
        let wrong = [
            OutgoingMessage(
                to: "receipts",
                payload: [UInt8](repeating: 0, count: OutgoingBatch.maximumRecordSize)
            ),
            OutgoingMessage(to: "receipts", key: [], payload: []),
            OutgoingMessage(to: "receipts", payload: [], headers: [Header("", "x")]),
            OutgoingMessage(to: "", payload: []),
        ]
        let fine = OutgoingMessage(to: "receipts", key: "k", payload: [1])
        @Sendable func outgoing(_ message: Message) -> [OutgoingMessage] {
            // What was published before the error goes with its message, too.
            message.offset < 4 ? [fine, wrong[Int(message.offset)]] : [fine]
        }
        let pipeline: Pipeline<Message>
        switch kind {
        case .inTasks:
            pipeline = bench.asyncPipeline(source, configuration: configuration, sink: sink) { message, context in
                for one in outgoing(message) { try context.publish(one) }
            }
        case .transactional:
            pipeline = Pipeline(
                "tests",
                from: source,
                ledger: bench.ledger,
                decoding: .raw,
                identifiedBy: .messageID,
                publishingTo: sink,
                configuration: configuration,
                transactional: { message, transaction in
                    for one in outgoing(message) { try transaction.publish(one) }
                }
            )
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver((0..<5).map { SampleMessage($0, key: "k", id: "id\($0)") })
            await pipeline.settled(through: [.orders: 5])
            try await bench.ledger.outbox.drained()
        }
        #expect(error == nil)
        let codes: [MessageError.Code] = [.tooLarge, .emptyKey, .invalidHeader, .unknownTopic]
        let letters = try bench.ledger.reader.deadLetters()
        #expect(letters.map(\.offset) == [0, 1, 2, 3])
        for (letter, code) in zip(letters, codes) { #expect(letter.errorMessage.contains(code.description)) }
        #expect(sink.confirmed.map(\.id) == ["billing/orders/id4#0"])
        #expect(pipeline.statistics.published == 1)
    }
}
