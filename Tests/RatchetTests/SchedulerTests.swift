import Seeds
import Testing

@testable import Ratchet

@Suite("Scheduler: simulated histories")
struct SchedulerTests {
    private static let orderings: [Ordering] = [.key, .partition, .none]

    private static func simulate(_ seed: Seed, _ execution: Scheduler.Execution, _ ordering: Ordering) throws {
        var shell = SimulatedShell(seed, execution: execution, ordering: ordering)
        let isFinished = try shell.run()
        #expect(isFinished, "it stands still")
        #expect(shell.problems.isEmpty)
        #expect(shell.writer.problems.isEmpty)
        for partition in shell.partitions {
            #expect(partition.settled.allSatisfy { $0 == 1 }, "\(partition.name): \(partition.settled)")
        }
        #expect(shell.scheduler.inFlight == 0)
        #expect(shell.scheduler.inFlightBytes == 0)
        #expect(shell.claims.count == 0)
        #expect(shell.scheduler.lanes.isEmpty && shell.scheduler.held.isEmpty && shell.scheduler.waiting.isEmpty)
    }

    @Test(
        "Handlers in tasks: each message once, in the order of its lane, to the end",
        arguments: Seed.some(40),
        orderings
    )
    func inTasks(seed: Seed, ordering: Ordering) throws {
        try Self.simulate(seed, .inTasks, ordering)
    }

    @Test(
        "Handlers in the writer: each message once, in the order of its lane, to the end",
        arguments: Seed.some(40),
        orderings
    )
    func inWriter(seed: Seed, ordering: Ordering) throws {
        try Self.simulate(seed, .inWriter, ordering)
    }

    @Test(
        "A piece that is not written ends all: nothing starts or passes it, and every partition drains",
        arguments: Seed.some(60),
        [Scheduler.Execution.inTasks, .inWriter]
    )
    func failure(seed: Seed, execution: Scheduler.Execution) throws {
        for ordering in Self.orderings {
            var shell = SimulatedShell(seed, execution: execution, ordering: ordering)
            let isDrained = try shell.runIntoFailure()
            #expect(isDrained, "it stands still")
            #expect(shell.problems.isEmpty)
            #expect(shell.scheduler.inFlight == 0)
            #expect(shell.scheduler.inFlightBytes == 0)
            #expect(shell.claims.count == 0)
            for partition in shell.partitions { #expect(partition.settled.allSatisfy { $0 <= 1 }) }
        }
    }
}
