import Ratchet
import RatchetTesting
import Testing

@Suite struct ConformanceTests {
    static let featuresInMemory = InProcessBroker.features.union(.holes)
    static let featuresOnDisk = featuresInMemory.union([.restarts, .eviction])
    static let queueFeaturesOnDisk = InProcessBroker.queueFeatures.union([.restarts, .eviction, .acksForGood])

    /// Against what hangs, and not against a machine that is busy: the simulations beside it have its processors for
    /// minutes.
    private static var patient: ConformanceSuite.Settings {
        var settings = ConformanceSuite.Settings()
        settings.timeout = .seconds(1_200)
        return settings
    }

    @Test("The durable broker keeps the promise", arguments: checks(featuresOnDisk))
    func durable(_ name: String) async throws {
        try await run(name, InProcessBroker(in: Scratch()), Self.featuresOnDisk)
    }

    @Test("The broker in memory keeps the promise", arguments: checks(featuresInMemory))
    func inMemory(_ name: String) async throws { try await run(name, InProcessBroker(in: nil), Self.featuresInMemory) }

    @Test("The durable broker keeps the promise as a queue", arguments: checks(queueFeaturesOnDisk))
    func durableQueue(_ name: String) async throws {
        try await run(name, InProcessBroker(in: Scratch(), as: .queue), Self.queueFeaturesOnDisk)
    }

    @Test("The broker in memory keeps the promise as a queue", arguments: checks(InProcessBroker.queueFeatures))
    func queueInMemory(_ name: String) async throws {
        try await run(name, InProcessBroker(in: nil, as: .queue), InProcessBroker.queueFeatures)
    }

    @Test("Checks run side by side on the queues of one broker, and leave none of their topics behind")
    func queuesSideBySide() async throws {
        let broker = InProcessBroker(in: nil, as: .queue)
        let failures = try await failures(
            of: ConformanceSuite(broker, features: InProcessBroker.queueFeatures, settings: Self.patient)
        )
        #expect(failures.isEmpty, "\(failures)")
        #expect(try await broker.topics() == [])
        try await broker.close()
    }

    @Test("Checks run side by side on one broker, and leave none of their topics behind")
    func sideBySide() async throws {
        let broker = InProcessBroker(in: nil)
        let failures = try await failures(
            of: ConformanceSuite(broker, features: Self.featuresInMemory, settings: Self.patient)
        )
        #expect(failures.isEmpty, "\(failures)")
        #expect(try await broker.topics() == [])
        try await broker.close()
    }

    @Test("With a producer for its sink it keeps the promise too")
    func producer() async throws {
        let broker = InProcessBroker(in: nil, hasProducer: true)
        let failures = try await failures(
            of: ConformanceSuite(broker, features: Self.featuresInMemory, settings: Self.patient)
        )
        #expect(failures.isEmpty, "\(failures)")
        try await broker.close()
    }

    @Test("What every broker must do is asked of one that says it can do nothing more")
    func noFeatures() async throws {
        let broker = InProcessBroker(in: nil)
        let failures = try await failures(of: ConformanceSuite(broker, features: [], settings: Self.patient))
        #expect(failures.isEmpty, "\(failures)")
        try await broker.close()
    }

    @Test("A check ends with its time, and says what it waited for")
    func timeout() async throws {
        let silent = SilentBroker(broker: InProcessBroker(in: nil))
        var settings = ConformanceSuite.Settings()
        settings.clock = silent
        settings.timeout = .seconds(7)
        let suite = ConformanceSuite(silent, features: [], settings: settings)
        let check = try #require(suite.checks.first)
        let failure = await #expect(throws: ConformanceFailure.self) { try await check.run() }
        let description = try #require(failure?.description)
        #expect(description.hasPrefix("\(check.name): nothing of what is waited for came within 7.0 seconds"))
        #expect(description.contains("the member waits for the next event"), "\(description)")
        try await silent.broker.close()
    }

    @Test("A feature that is claimed without its method is told by the checks that need it")
    func claimedFeature() async throws {
        let silent = SilentBroker(broker: InProcessBroker(in: nil))
        let partition = TopicPartition("t", 0)
        for method in [silent.removeOldest, silent.makeHole] {
            let failure = await #expect(throws: ConformanceFailure.self) { try await method(partition) }
            #expect(failure?.description.contains("SilentBroker has no") == true)
        }
        let failure = await #expect(throws: ConformanceFailure.self) { try await silent.restart() }
        #expect(failure?.description == "SilentBroker has no restart, which restarts asks for")
        let other = await #expect(throws: ConformanceFailure.self) { try await silent.evictSilent() }
        #expect(other?.description == "SilentBroker has no evictSilent, which eviction asks for")
    }

    @Test("Checks that ask for what a broker has not are left out, and named")
    func features() {
        let all = ConformanceSuite(InProcessBroker(in: nil), features: Self.featuresOnDisk)
        let queues = ConformanceSuite(InProcessBroker(in: nil), features: Self.queueFeaturesOnDisk)
        #expect(queues.skipped.count > 10 && queues.checks.count > 20)
        // What only logs or only queues can do.
        #expect(Set(all.skipped) == Set(queues.checks.map(\.name)).subtracting(all.checks.map(\.name)))
        let names = all.checks.map(\.name) + all.skipped
        #expect(Set(names).count == names.count)
        let none = ConformanceSuite(InProcessBroker(in: nil), features: [])
        #expect(none.checks.count > 10)
        #expect(Set(none.checks.map(\.name) + none.skipped) == Set(names))
        #expect("\(Self.featuresOnDisk)".split(separator: "+").count == 12)
    }

    private static func checks(_ features: Features) -> [String] {
        ConformanceSuite(InProcessBroker(in: nil), features: features).checks.map(\.name)
    }

    /// Runs one check on a broker of its own.
    private func run(_ name: String, _ broker: InProcessBroker, _ features: Features) async throws {
        let suite = ConformanceSuite(broker, features: features, settings: Self.patient)
        let check = try #require(suite.checks.first { $0.name == name })
        try await check.run()
        try await broker.close()
    }
}

/// Runs all checks side by side, and returns what those that fail say, by their names.
func failures(of suite: ConformanceSuite) async throws -> [String: String] {
    try await withThrowingTaskGroup(of: (String, String)?.self) { group in
        for check in suite.checks {
            group.addTask {
                do {
                    try await check.run()
                    return nil
                } catch let failure as ConformanceFailure {
                    return (check.name, failure.description)
                }
            }
        }
        var failures: [String: String] = [:]
        for try await failure in group { if let (name, description) = failure { failures[name] = description } }
        return failures
    }
}
