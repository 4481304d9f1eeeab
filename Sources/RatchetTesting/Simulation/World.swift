import Logging
import Ratchet
import Synchronization

/// What the parts of a simulation share: its seed, its time, and the record of what happens.
final class World: Sendable {
    static let topic = "orders"
    static let receipts = "receipts"
    static let group = "billing"
    static var silent: Logger { Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() } }

    let seed: UInt64
    let scenario: Scenario
    let directory: String
    let scheduler: SimulatedScheduler
    let clock: SimulatedClock
    let record: SimulatedRecord
    /// Many keys have one fingerprint.
    let hasCollisions: Bool
    /// How far the wall clocks have leapt, in milliseconds.
    let leap = Atomic<Int>(0)

    init(seed: UInt64, scenario: Scenario, directory: String) {
        self.seed = seed
        self.scenario = scenario
        self.directory = directory
        scheduler = SimulatedScheduler(seed: seed)
        clock = SimulatedClock(scheduler: scheduler)
        record = SimulatedRecord(scheduler)
        var random = SeededGenerator(seed: seed, purpose: 6)
        hasCollisions = random.chance(30)
    }

    func time(purpose: UInt64) -> TimeSource {
        TimeSource(
            wall: { 1_800_000_000_000 + self.scheduler.now / 1_000_000 + Int64(self.leap.load(ordering: .relaxed)) },
            monotonic: { 1_000_000_000 + self.scheduler.now }
        )
    }

    func random(purpose: UInt64) -> @Sendable () -> UInt64 {
        let generator = Shared(SeededGenerator(seed: seed, purpose: purpose))
        return { generator.next() }
    }
}

/// A generator that several tasks draw from.
private final class Shared: Sendable {
    private let generator: Mutex<SeededGenerator>

    init(_ generator: SeededGenerator) { self.generator = Mutex(generator) }

    func next() -> UInt64 { generator.withLock { $0.next() } }
}
