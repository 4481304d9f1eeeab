#if Kafka
    import Ratchet
    import RatchetTesting
    import Testing

    @Suite struct KafkaConformanceTests {
        static let cluster = Result { try MockCluster(latency: 100) }
        /// Each check's clients have a dozen threads.
        private static let lanes = Lanes(6)

        static var suite: ConformanceSuite {
            get throws {
                var settings = ConformanceSuite.Settings()
                // A first assignment takes 3 s there, a rebalance nearly a session's timeout.
                settings.timeout = .seconds(180)
                return ConformanceSuite(try cluster.get(), features: MockCluster.features, settings: settings)
            }
        }

        private static var names: [String] { (try? suite.checks.map(\.name)) ?? ["the mock cluster starts"] }

        @Test("Kafka keeps the promise", arguments: names)
        func keepsThePromise(_ name: String) async throws {
            let check = try #require(try Self.suite.checks.first { $0.name == name })
            try await Self.lanes.run { try await check.run() }
        }

        @Test("What the mock cluster cannot show is left out, and named")
        func skipped() throws {
            // What a log with everything would be held to.
            let features = MockCluster.features.union([.topicIDs, .holes, .restarts, .eviction])
            let logs = ConformanceSuite(try Self.cluster.get(), features: features).checks.map(\.name)
            let skipped = try Self.suite.skipped.filter { logs.contains($0) }
            #expect(
                Set(skipped) == [
                    "A topic keeps its id, and one that is made anew has another",
                    "What was confirmed and what was committed is there after a restart",
                    "Generations rise across a restart",
                    "A member that is taken for dead and goes on commits nothing",
                ]
            )
        }
    }
#endif
