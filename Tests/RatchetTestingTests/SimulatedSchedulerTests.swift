import Seeds
import Synchronization
import Testing

@testable import RatchetTesting

@Suite("Simulation: one thread, one order")
struct SimulatedSchedulerTests {
    private final class Events: Sendable {
        private let all = Mutex<[String]>([])

        var list: [String] { all.withLock { $0 } }
        func add(_ event: String) { all.withLock { $0.append(event) } }
    }

    private struct Run: Hashable {
        var events: [String]
        var digest: UInt64
        var now: Int64
    }

    /// Tasks that hand work about, wait and sleep.
    private static func run(seed: UInt64) -> Run {
        let scheduler = SimulatedScheduler(seed: seed)
        let clock = SimulatedClock(scheduler: scheduler)
        let events = Events()
        Task(executorPreference: SimulatedProcess(scheduler)) {
            await withTaskGroup { group in
                for number in 0..<5 {
                    group.addTask {
                        for round in 0..<4 {
                            events.add("\(number).\(round)")
                            await Task.yield()
                            try? await clock.sleep(for: .milliseconds((number * 7 + round) % 3))
                        }
                    }
                }
            }
        }
        while scheduler.step() {}
        return Run(events: events.list, digest: scheduler.digest, now: scheduler.now)
    }

    @Test("The same seed gives the same run, another one another")
    func deterministic() {
        let first = Self.run(seed: 1)
        #expect(Self.run(seed: 1) == first)
        #expect(first.events.count == 20)
        let orders = Set((1...50).map { Self.run(seed: $0).events })
        #expect(orders.count > 40)
    }

    @Test("A run's digest is the same in every process and on every machine")
    func digest() {
        #expect(Self.run(seed: 42).digest == 16_633_232_428_918_666_455)
    }

    private final class Counts: Sendable {
        let done = Mutex(0)
        let found = Mutex(-1)
    }

    /// How many of its hundred jobs one task has done, 10 ms after the start, when another one looks.
    private static func jobsDone(at time: Int, jobsLater: Int?) -> Int {
        let scheduler = SimulatedScheduler(seed: 9)
        let (clock, process) = (SimulatedClock(scheduler: scheduler), SimulatedProcess(scheduler))
        let counts = Counts()
        Task(executorPreference: process) {
            await withTaskGroup { group in
                group.addTask {
                    try? await clock.sleep(for: .milliseconds(10))
                    for _ in 0..<100 {
                        counts.done.withLock { $0 += 1 }
                        await Task.yield()
                    }
                }
                group.addTask {
                    try? await clock.sleep(for: .milliseconds(time))
                    if let jobsLater { await scheduler.pass(jobs: jobsLater) }
                    let now = counts.done.withLock { $0 }
                    counts.found.withLock { $0 = now }
                }
            }
        }
        while scheduler.step() {}
        return counts.found.withLock { $0 }
    }

    @Test("Who waits for a time finds others before or after their work, who waits for jobs in the middle of it")
    func passing() {
        #expect(Self.jobsDone(at: 9, jobsLater: nil) == 0)
        #expect(Self.jobsDone(at: 11, jobsLater: nil) == 100)
        #expect((10...40).contains(Self.jobsDone(at: 9, jobsLater: 20)))
        #expect(Self.jobsDone(at: 9, jobsLater: 100_000) == 100)
    }

    @Test("Time passes only when nothing can run, and at once")
    func time() {
        let now = Self.run(seed: 3).now
        #expect(now > 0 && now < 100_000_000)
    }
}
