#if RabbitMQ
    import RatchetRabbitMQ
    import RatchetTesting
    import Testing

    extension RabbitMQ {
        @Suite struct ConformanceTests {
            private static let features = RealRabbitMQ.features.union(.restarts)

            private static func suite(_ kind: RealRabbitMQ, _ features: Features = ConformanceTests.features)
                -> ConformanceSuite
            {
                var settings = ConformanceSuite.Settings()
                // Other programs of the machine may have much to do.
                settings.timeout = .seconds(300)
                return ConformanceSuite(kind, features: features, settings: settings)
            }

            private static let onQuorum = suite(RealRabbitMQ(kind: .quorum))
            private static let onClassic = suite(RealRabbitMQ(kind: .classic))
            private static let inTransactions = suite(
                RealRabbitMQ(kind: .classic, settings: .with { $0.confirmation = .transactions })
            )

            private static let onStreams = suite(
                RealRabbitMQ(kind: .stream),
                RealRabbitMQ.streamFeatures.union(.restarts)
            )

            @Test("Streams keep the promise of a log", arguments: onStreams.checks.filter { !$0.name.isAboutHeaders })
            func stream(_ check: ConformanceCheck) async throws { try await check.run() }

            @Test("Quorum queues keep the promise", arguments: onQuorum.checks)
            func quorum(_ check: ConformanceCheck) async throws { try await check.run() }

            @Test("Classic queues keep the promise", arguments: onClassic.checks)
            func classic(_ check: ConformanceCheck) async throws { try await check.run() }

            @Test(
                "With transactions for confirms a sink keeps the promise",
                arguments: inTransactions.checks.filter { $0.name.isAboutSending }
            )
            func transactional(_ check: ConformanceCheck) async throws { try await check.run() }
        }
    }

    extension String {
        /// Whether a check is about the order of headers: a stream's server sorts them by their names.
        fileprivate var isAboutHeaders: Bool { hasPrefix("Key, headers and payload") }

        /// Whether a check is about what is sent.
        fileprivate var isAboutSending: Bool { contains("sink") || contains("sent") || contains("does not exist") }
    }
#endif
