import RatchetTesting
import Synchronization
import Testing

@Suite struct ConformanceTests {
    static let featuresInMemory = InProcessBroker.features.union(.holes)
    static let featuresOnDisk = featuresInMemory.union(.restarts)

    @Test("The durable broker keeps the promise", arguments: checks(featuresOnDisk))
    func durable(_ name: String) async throws {
        try await run(name, InProcessBroker(in: Scratch()), Self.featuresOnDisk)
    }

    @Test("The broker in memory keeps the promise", arguments: checks(featuresInMemory))
    func inMemory(_ name: String) async throws { try await run(name, InProcessBroker(in: nil), Self.featuresInMemory) }

    @Test("Checks run side by side on one broker, and leave none of their topics behind")
    func sideBySide() async throws {
        let broker = InProcessBroker(in: nil)
        let failures = try await failures(of: ConformanceSuite(broker, features: Self.featuresInMemory))
        #expect(failures.isEmpty, "\(failures)")
        #expect(try await broker.topics() == [])
        try await broker.close()
    }

    @Test("Checks that ask for what a broker has not are left out, and named")
    func features() {
        let all = ConformanceSuite(InProcessBroker(in: nil), features: Self.featuresOnDisk)
        #expect(all.skipped == [])
        let names = all.checks.map(\.name)
        #expect(Set(names).count == names.count)
        let none = ConformanceSuite(InProcessBroker(in: nil), features: [])
        #expect(none.checks.count > 10)
        #expect(Set(none.checks.map(\.name) + none.skipped) == Set(names))
        #expect("\(Self.featuresOnDisk)".split(separator: "+").count == 11)
    }

    private static func checks(_ features: Features) -> [String] {
        ConformanceSuite(InProcessBroker(in: nil), features: features).checks.map(\.name)
    }

    /// Runs one check on a broker of its own.
    private func run(_ name: String, _ broker: InProcessBroker, _ features: Features) async throws {
        let check = try #require(ConformanceSuite(broker, features: features).checks.first { $0.name == name })
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
