import Seeds
import Testing

@testable import RatchetBroker

@Suite("Replication, simulated", .timeLimit(.minutes(30)))
struct ReplicationSimulationTests {
    typealias Setting = ReplicationModel.Setting

    /// What holds in each is what ``ReplicationModel`` checks.
    static let settings = [
        Setting(),
        Setting(confirmsOnReceipt: true),
        Setting(nodes: 5, minimum: 3, maximumLosses: 2),
        Setting(nodes: 2, minimum: 1, maximumLosses: 0),
        Setting(minimum: 1, maximumLosses: 0),
        Setting(minimum: 1, maximumLosses: 1),
        Setting(allowsUnclean: true, maximumLosses: 2),
        Setting(minimum: 1, allowsUnclean: true, confirmsOnReceipt: true, maximumLosses: 3),
    ]

    @Test(
        "What was confirmed is in every later leader's log, what was seen stays, no epoch has two leaders, replicas agree",
        arguments: settings.indices
    )
    func keepsItsPromise(number: Int) {
        for seed in Seed.some(250) {
            let findings = ReplicationModel.run(seed, Self.settings[number])
            #expect(findings.isEmpty, "\(seed), setting \(number)")
        }
    }

    @Test("A mistake in replication is found", arguments: ReplicationMistake.allCases)
    func findsMistakes(mistake: ReplicationMistake) {
        var setting = Setting(mistake: mistake)
        switch mistake {
        case .trustsKilledNode, .ignoresLives: (setting.nodes, setting.confirmsOnReceipt) = (2, true)
        case .confirmsBeforeWriting: setting.nodes = 2
        default: break
        }
        let isFound = (1...600).contains { !ReplicationModel.run(Seed(value: $0), setting).isEmpty }
        #expect(isFound, "\(mistake) passes")
    }
}
