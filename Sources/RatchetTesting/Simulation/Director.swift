import Ratchet
import RatchetBroker
import Synchronization

/// Plays a simulation through: the producers, the faults, the healing, and the reading of what is left.
struct Director: Sendable {
    let world: World
    let broker: BrokerNode
    let process: PipelineNode
    private let faults: [SimulatedFault]

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
            SimulatedLink(world, purpose: 50 + UInt64(number))
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
            link.mayArriveAgain { [broker] in _ = try await broker.running().send(messages) }
            let (name, offset) = try await link.call(lostBy: [.badSends]) {
                let broker = try broker.running()
                let topic = try broker.describe(World.topic).id
                let all = try await broker.send(messages)
                // Made anew meanwhile: which of the two has it?
                guard try broker.describe(World.topic).id == topic else { throw SimulatedLink.Lost() }
                let sent = all[all.count - 1]
                return (record.name(of: sent.partition, in: topic), sent.offset)
            }
            record.add { .sentOK($0.message(id), try $0.partition(name), offset: offset) }
            return true
        } catch {
            record.add { .sentUnknown($0.message(id)) }
            return false
        }
    }

    // MARK: The end

    /// Waits until everything that was sent is committed and every receipt has gone, or until the time for it is over:
    /// then the history tells what is stuck.
    private func waitUntilDrained() async throws {
        let deadline = world.clock.now.advanced(by: world.scenario.healingTime)
        while world.clock.now < deadline {
            let broker = try self.broker.running()
            if try isDrained(broker), process.backlog == 0, world.underway.load(ordering: .relaxed) == 0 { return }
            try await world.clock.sleep(for: .milliseconds(100))
        }
    }

    /// Whether all partitions are committed to their ends. A commit that arrived once more, and late, may have the last
    /// word at the broker; what the pipelines know of counts as well then.
    private func isDrained(_ broker: Broker) throws -> Bool {
        let topic = try broker.describe(World.topic)
        let offsets = try broker.offsets(group: World.group)
        return topic.partitions.allSatisfy { partition in
            let end = partition.log.upperBound
            if end == 0 { return true }
            let committed = offsets[partition.partition]
            // Where nobody put a name to an operator's reset, more is to be done.
            guard committed?.metadata.isEmpty == false else { return false }
            let name = world.record.name(of: partition.partition, in: topic.id)
            return committed?.offset == end || world.record.committed(name) == end
        }
    }

    /// Reads from the broker what it holds, and ends the history.
    private func read() async throws -> [String] {
        let broker = try self.broker.running()
        let record = world.record
        let topic = try broker.describe(World.topic).id
        for partition in 0..<world.scenario.partitions {
            let place = TopicPartition(World.topic, partition)
            let name = record.name(of: place, in: topic)
            var end: Int64 = 0
            for try await batch in try broker.read(place) {
                for index in 0..<batch.count {
                    let message = batch[index]
                    end = message.offset + 1
                    if ControlRecords.contain(message) { continue }
                    record.add { history in
                        .appended(history.message(message.name), try history.partition(name), offset: message.offset)
                    }
                }
            }
            record.add { .end(of: try $0.partition(name), offset: end) }
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
