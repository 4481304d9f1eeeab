import Ratchet

/// What a whole pipeline over the source must come to.
enum PipelineChecks {
    static let all = [
        Promise("A pipeline has the effect of each event once, however often it was sent") { trial in
            let bench = try await PipelineBench(trial, events: 120)
            try await bench.produce(events: 0..<120)
            try await bench.withLedger { ledger in
                let pipeline = try await bench.pipeline(ledger)
                try await bench.run(pipeline, until: 0..<120, endingWith: .shutdown)
                try bench.check(ledger)
                let statistics = pipeline.statistics
                try trial.expect(
                    statistics.processed == 120 && statistics.duplicates >= bench.repeats,
                    "expected 120 events and \(bench.repeats) duplicates, and got \(statistics)"
                )
            }
        },
        Promise("A pipeline that is shut down and begun again has each effect once", [], resuming(.shutdown)),
        Promise("A pipeline that is cut off and begun again has each effect once", [], resuming(.cancellation)),
        Promise("Members that come and go have each effect once between them", .partitions) { trial in
            let bench = try await PipelineBench(trial, events: 120, partitions: 3)
            try await bench.withLedger { ledger in
                try await bench.produce(events: 0..<40)
                let leaving = try await bench.pipeline(ledger)
                let staying = try await bench.pipeline(ledger)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await bench.run(leaving, until: 0..<40, endingWith: .shutdown) }
                    group.addTask { try await bench.run(staying, until: 0..<120, endingWith: .shutdown) }
                    for events in [40..<80, 80..<120] { try await bench.produce(events: events) }
                    try await group.waitForAll()
                }
                try bench.check(ledger)
            }
        },
        Promise("What a pipeline publishes can be read, each receipt under one id") { trial in
            let bench = try await PipelineBench(trial, events: 60)
            let output = try await trial.topic()
            let sink = try await trial.broker.sink()
            try await bench.produce(events: 0..<60)
            try await bench.withLedger { ledger in
                let pipeline = try await bench.pipeline(ledger, publishing: (output, sink))
                try await bench.run(pipeline, until: 0..<60, endingWith: .shutdown)
                try bench.check(ledger)
            }
            var receipts: [String: Set<[UInt8]>] = [:]
            for message in try await trial.contents(of: output) {
                guard let id = message.header(Header.messageIDName) else {
                    throw ConformanceFailure("receipt '\(message.text)' has lost its message-id")
                }
                receipts[message.text, default: []].insert(id)
            }
            for event in bench.names(0..<60) {
                let count = receipts[event]?.count ?? 0
                try trial.expect(count == 1, "expected a receipt of '\(event)' under one id, and found \(count) ids")
            }
        },
    ]

    private static func resuming(_ ending: PipelineBench.Ending) -> @Sendable (Trial) async throws -> Void {
        { trial in
            let bench = try await PipelineBench(trial, events: 120)
            try await bench.produce(events: 0..<80)
            try await bench.withLedger { ledger in
                try await bench.run(try await bench.pipeline(ledger), until: 0..<40, endingWith: ending)
            }
            try await bench.produce(events: 80..<120)
            try await bench.withLedger { ledger in
                try await bench.run(try await bench.pipeline(ledger), until: 0..<120, endingWith: .shutdown)
                try bench.check(ledger)
            }
        }
    }
}
