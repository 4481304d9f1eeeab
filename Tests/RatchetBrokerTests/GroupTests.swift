import Ratchet
import ServiceLifecycle
import Synchronization
import Testing

@testable import RatchetBroker

@Suite struct GroupTests {
    private func commit(_ assignment: Assignment, _ offset: Int64) -> OffsetCommit {
        OffsetCommit(partition: assignment.partition, offset: offset, generation: assignment.generation, metadata: "")
    }

    @Test("A new member waits for the release, while its owner keeps everything else")
    func barrier() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 2)
        let first = try await broker.subscribe(to: "t", as: "g").open()
        let assignments = try await first.nextAssigned()
        #expect(assignments.count == 2)
        try await first.start(assignments)
        let second = try await broker.subscribe(to: "t", as: "g").open()
        let revoked = try await first.nextRevoking()
        #expect(revoked.count == 1)
        let moving = try #require(assignments.first { $0.partition == revoked[0] })
        let staying = try #require(assignments.first { $0.partition != revoked[0] })

        // Nothing more of it is delivered, but it can still be committed: that is what the time is for.
        try await broker.send([
            .text("moves", to: "t", partition: moving.partition.partition),
            .text("stays", to: "t", partition: staying.partition.partition),
        ])
        #expect(try await first.nextMessages().texts == ["stays"])
        try await first.commit([commit(moving, 1), commit(staying, 1)])
        let next = Task { try await second.nextAssigned() }
        let member = try #require((second as? BrokerSession)?.member)
        while !member.isWaiting { await Task.yield() }

        await first.release(revoked)
        let given = try await next.value
        #expect(given.map(\.partition) == revoked)
        #expect(given[0].generation > moving.generation)
        #expect(given[0].committed?.offset == 1)
        let error = await #expect(throws: SourceError.self) {
            try await first.commit([commit(staying, 1), commit(moving, 0)])
        }
        #expect(error?.code == .fenced)
        #expect(try broker.offsets(group: "g")[moving.partition]?.offset == 1)
        try await first.commit([commit(staying, 1)])
        // Releasing what is not being revoked changes nothing.
        await first.release([staying.partition, moving.partition])
        try await first.commit([commit(staying, 1)])
        try await second.commit([commit(given[0], 1)])
        try await broker.close()
    }

    @Test("At the deadline an owner that does not release is fenced, for what was revoked alone")
    func deadline() async throws {
        let clock = ManualClock()
        var configuration = Broker.Configuration.quiet
        configuration.clock = clock
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", partitions: 2)
        try await broker.send([.text("a", to: "t", partition: 0), .text("b", to: "t", partition: 1)])
        let first = try await broker.subscribe(to: "t", as: "g").open()
        let assignments = try await first.nextAssigned()
        let second = try await broker.subscribe(to: "t", as: "g").open()
        let revoked = try await first.nextRevoking()
        let moving = try #require(assignments.first { $0.partition == revoked[0] })
        let staying = try #require(assignments.first { $0.partition != revoked[0] })
        let running = Task { try await broker.run() }
        let given = Task { try await second.nextAssigned() }
        let lost = Task { try await first.nextLost() }
        for _ in 0..<121 {
            await clock.waitForSleeper()
            clock.advance(by: .milliseconds(500))
        }
        #expect(try await lost.value == revoked)
        #expect(try await given.value.map(\.partition) == revoked)
        running.cancel()
        try await running.value
        let error = await #expect(throws: SourceError.self) { try await first.commit([commit(moving, 1)]) }
        #expect(error?.code == .fenced)
        try await first.commit([commit(staying, 1)])
        await first.release(revoked)
        try await broker.close()
    }

    @Test("A silent member is evicted and fenced, and joins again with its next call")
    func eviction() async throws {
        let clock = ManualClock()
        var configuration = Broker.Configuration.quiet
        configuration.clock = clock
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        try await broker.send(.text("a", to: "t"))
        let first = try await broker.subscribe(to: "t", as: "g").open()
        let assignment = try await first.nextAssigned()[0]
        let second = try await broker.subscribe(to: "t", as: "g").open()
        // The second one waits, and so is alive however long it takes.
        let given = Task { try await second.nextAssigned() }
        let member = try #require((second as? BrokerSession)?.member)
        while !member.isWaiting { await Task.yield() }
        clock.advance(by: .seconds(45))
        for group in broker.activeGroups { group.tick() }
        try await first.commit([commit(assignment, 0)])
        clock.advance(by: .milliseconds(1))
        for group in broker.activeGroups { group.tick() }
        let error = await #expect(throws: SourceError.self) { try await first.commit([commit(assignment, 1)]) }
        #expect(error?.code == .fenced)
        #expect(try await given.value.map(\.partition) == [assignment.partition])
        #expect(try await first.nextLost() == [assignment.partition])
        let back = Task { try await first.nextAssigned() }
        let evicted = try #require((first as? BrokerSession)?.member)
        while !evicted.isWaiting { await Task.yield() }
        await second.close()
        #expect(try await back.value.map(\.partition) == [assignment.partition])
        try await broker.close()
    }

    @Test("A session that is let go leaves the group")
    func letGo() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        func joinAndForget() async throws { _ = try await broker.subscribe(to: "t", as: "g").open().nextAssigned() }
        try await joinAndForget()
        let session = try await broker.subscribe(to: "t", as: "g").open()
        #expect(try await session.nextAssigned().count == 1)
        try await broker.close()
    }

    @Test("Groups do not know of each other")
    func independence() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 2)
        for number in 0..<4 { try await broker.send(.text("\(number)", to: "t", partition: number % 2)) }
        for group in ["a", "b"] {
            let session = try await broker.subscribe(to: "t", as: group).open()
            let assignments = try await session.nextAssigned()
            #expect(assignments.count == 2 && assignments.allSatisfy { $0.committed == nil && $0.generation == 1 })
            try await session.start(assignments)
            #expect(try await session.nextMessages().count == 2)
            try await session.commit(assignments.map { commit($0, 2) })
        }
        try await broker.close()
    }

    @Test("run ends with a graceful shutdown and leaves the broker open")
    func shutdown() async throws {
        let clock = ManualClock()
        var configuration = Broker.Configuration.quiet
        configuration.clock = clock
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        let services = ServiceGroup(services: [broker], logger: configuration.logger)
        async let running: Void = services.run()
        await clock.waitForSleeper()
        await services.triggerGracefulShutdown()
        try await running
        try await broker.send(.text("a", to: "t"))
        try await broker.close()
    }

    @Test("run applies retention by time at its interval")
    func retentionRuns() async throws {
        let (clock, wallClock) = (ManualClock(), ManualWallClock())
        var configuration = Broker.Configuration.quiet
        configuration.clock = clock
        configuration.time.wall = wallClock.read
        configuration.tickInterval = .seconds(1)
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", retention: Retention(time: .seconds(5)))
        try await broker.send(.text("old", to: "t"))
        try await broker.send(.text("new", to: "t"))
        wallClock.advance(by: .seconds(6))
        let running = Task { try await broker.run() }
        for _ in 0..<30 {
            await clock.waitForSleeper()
            #expect(try broker.describe("t").partitions[0].log == 0..<2)
            clock.advance(by: .seconds(1))
        }
        await clock.waitForSleeper()
        #expect(try broker.describe("t").partitions[0].log == 1..<2)
        running.cancel()
        try await running.value
        try await broker.close()
    }
}
