import RatchetTesting
import Testing

@Suite(.serialized) struct MistakeTests {
    @Test(
        "The conformance suite finds a connector's mistake, and finds nothing else",
        arguments: Mistake.ofSources + Mistake.ofLogs + Mistake.ofSinks
    )
    func finds(_ mistake: Mistake) async throws {
        let broker = InProcessBroker(in: nil)
        let mistaken = MistakenBroker(broker: broker, mistake: mistake.kind)
        let features = ConformanceTests.featuresInMemory
        let failures = try await failures(of: ConformanceSuite(mistaken, features: features))
        let found = Set(failures.keys)
        #expect(found.isSuperset(of: mistake.found), "\(mistake.found.subtracting(found)) found nothing")
        let others = found.subtracting(mistake.found).subtracting(mistake.perhaps)
        #expect(others.isEmpty, "\(failures.filter { others.contains($0.key) }.map(\.value).joined(separator: "\n\n"))")
        try await broker.close()
    }

    @Test("The conformance suite finds a connector that keeps it waiting", arguments: Mistake.thatHang)
    func hangs(_ mistake: Mistake) async throws {
        let broker = InProcessBroker(in: nil)
        let mistaken = MistakenBroker(broker: broker, mistake: mistake.kind)
        var settings = ConformanceSuite.Settings()
        settings.timeout = .seconds(2)
        let suite = ConformanceSuite(mistaken, features: ConformanceTests.featuresInMemory, settings: settings)
        let check = try #require(suite.checks.first { mistake.found.contains($0.name) })
        let failure = await #expect(throws: ConformanceFailure.self) { try await check.run() }
        #expect(failure?.description.contains("came within 2.0 seconds") == true, "\(String(describing: failure))")
        try await broker.close()
    }

    @Test("The conformance suite finds a broker that forgets as it is restarted")
    func forgetful() async throws {
        let broker = InProcessBroker(in: nil)
        let suite = ConformanceSuite(broker, features: ConformanceTests.featuresOnDisk)
        let checks = suite.checks.filter { $0.name.contains("restart") }
        #expect(checks.count == 2)
        for check in checks {
            let failure = await #expect(throws: ConformanceFailure.self) { try await check.run() }
            #expect(failure?.description.contains("the broker is restarted") == true, "\(String(describing: failure))")
        }
        try await broker.close()
    }
}
