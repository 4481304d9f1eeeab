import Ratchet
import RatchetBroker
import Synchronization

/// Plays a simulation through: the producers, the faults, the healing, and the reading of what is left.
struct Director: Sendable {
    private let world: World
    private let faults: [SimulatedFault]
    private let broker: BrokerNode
    private let process: PipelineNode

    init(_ world: World, _ faults: [SimulatedFault]) {
        self.world = world
        self.faults = faults
        broker = BrokerNode(world)
        process = PipelineNode(world, broker)
    }

    /// Returns what was wrong with the run apart from its history; empty if nothing.
    func run() async throws -> [String] {
        try await broker.start()
        try process.start()
        let links = (0..<world.scenario.producers).map { number in
            SimulatedLink(seed: world.seed, purpose: 50 + UInt64(number), clock: world.clock)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, link) in links.enumerated() { group.addTask { try await produce(number, link) } }
            for fault in faults { group.addTask { try await play(fault, links) } }
            try await group.waitForAll()
        }
        try await waitUntilDrained()
        await process.close()
        let problems = try await read()
        try await broker.close()
        return problems
    }

    // MARK: Producers

    private func produce(_ number: Int, _ link: SimulatedLink) async throws {
        var sent: [SimulatedMessage] = []
        let given = world.scenario.proof?.messages(of: number, producers: world.scenario.producers)
        let count = given?.count ?? world.scenario.messages
        let longest = max(1, Int(world.scenario.faultTime.nanoseconds / 1_000_000) / max(1, count))
        for index in 0..<count {
            let key = "k\(link.draw(below: world.scenario.keys))"
            let message = given?[index] ?? SimulatedMessage(id: "p\(number)-\(index)", key: key)
            try await world.clock.sleep(for: .milliseconds(link.draw(below: longest * 2)))
            repeat {
                if await send(message, number, link) { break }
                try await world.clock.sleep(for: .milliseconds(link.draw(below: 1_000)))
                // Now and then a producer gives up, and never knows.
            } while !link.chance(5)
            sent.append(message)
            // An upstream that repeats what it sent a while ago.
            if link.chance(10) {
                _ = await send(sent[link.draw(below: sent.count)], number, link)
            }
        }
    }

    private func send(_ wanted: SimulatedMessage, _ number: Int, _ link: SimulatedLink) async -> Bool {
        let (record, id) = (world.record, wanted.id)
        record.add { .sending($0.message(id), by: $0.producer("p\(number)")) }
        do {
            let message = OutgoingMessage(
                to: World.topic,
                key: wanted.key,
                payload: wanted.payload,
                headers: [.messageID(id)]
            )
            let messages = link.chance(20) ? ControlRecords.before(message) : [message]
            let all = try await link.call { try await broker.running().send(messages) }
            let sent = all[all.count - 1]
            record.add { .sentOK($0.message(id), try $0.partition(sent.partition), offset: sent.offset) }
            return true
        } catch {
            record.add { .sentUnknown($0.message(id)) }
            return false
        }
    }

    // MARK: Faults

    private func play(_ fault: SimulatedFault, _ producers: [SimulatedLink]) async throws {
        try await world.clock.sleep(for: .milliseconds(fault.time))
        let undo = try await begin(fault, producers)
        try await world.clock.sleep(for: .milliseconds(fault.duration))
        try await undo()
    }

    /// Begins a fault; returns what ends it.
    private func begin(_ fault: SimulatedFault, _ producers: [SimulatedLink]) async throws -> () async throws -> Void {
        switch fault.kind {
        case .crashProcess:
            guard process.isRunning else { return {} }
            process.crash()
            return { if !process.isRunning { try process.start() } }
        case .crashBroker:
            guard broker.isRunning else { return {} }
            broker.crash()
            return { try await broker.start() }
        case .freezeProcess:
            process.freeze()
            return { process.thaw() }
        case .leapClock:
            let way = fault.duration % 2 == 0 ? 1 : -1
            world.leap.add(way * fault.duration * 7_200, ordering: .relaxed)
            return {}
        case .leaveGroup:
            await process.leave(fault.member)
            return { process.comeBack(fault.member) }
        case .badSends:
            for link in producers { link.change { $0.losesAnswers = true } }
            return { for link in producers { link.change { $0.losesAnswers = false } } }
        case .cutOff, .slowNetwork, .loseAnswers, .badCommits, .badHandlers:
            guard let link = process.link(fault.member) else { return {} }
            change(link, fault.kind, true)
            return { change(link, fault.kind, false) }
        }
    }

    private func change(_ link: SimulatedLink, _ kind: SimulatedFault.Kind, _ isBad: Bool) {
        switch kind {
        case .cutOff:
            // A process that has died stays cut off.
            if link.isDead { return }
            if isBad { link.cut() } else { link.heal() }
        case .slowNetwork: link.change { $0.isSlow = isBad }
        case .loseAnswers: link.change { $0.losesAnswers = isBad }
        case .badCommits: link.change { $0.hasBadCommits = isBad }
        default: link.change { $0.hasBadHandlers = isBad }
        }
    }

    // MARK: The end

    /// Waits until everything that was sent is committed and every receipt has gone, or until the time for it is over:
    /// then the history tells what is stuck.
    private func waitUntilDrained() async throws {
        let deadline = world.clock.now.advanced(by: world.scenario.healingTime)
        while world.clock.now < deadline {
            let broker = try self.broker.running()
            let ends = try broker.logEnds(of: World.topic)
            let committed = try broker.offsets(group: World.group)
            let isDone = ends.allSatisfy { $0.value == 0 || committed[$0.key]?.offset == $0.value }
            if isDone, process.backlog == 0 { return }
            try await world.clock.sleep(for: .milliseconds(100))
        }
    }

    /// Reads from the broker what it holds, and ends the history.
    private func read() async throws -> [String] {
        let broker = try self.broker.running()
        let record = world.record
        for partition in 0..<world.scenario.partitions {
            let place = TopicPartition(World.topic, partition)
            var end: Int64 = 0
            for try await batch in try broker.read(place) {
                for index in 0..<batch.count {
                    let message = batch[index]
                    end = message.offset + 1
                    if ControlRecords.contain(message) { continue }
                    record.add { history in
                        .appended(history.message(message.name), try history.partition(place), offset: message.offset)
                    }
                }
            }
            record.add { .end(of: try $0.partition(place), offset: end) }
        }
        record.add { _ in .drained }
        // A handler of somebody else's may publish what it likes.
        if world.scenario.proof != nil { return record.problems }
        var receipts = Set<String>()
        for try await batch in try broker.read(TopicPartition(World.receipts, 0)) {
            for index in 0..<batch.count { receipts.insert(batch[index].text) }
        }
        let messages = record.effectCounts.messages
        guard receipts.count != messages else { return record.problems }
        return record.problems + ["\(receipts.count) receipts for \(messages) messages with an effect"]
    }
}
