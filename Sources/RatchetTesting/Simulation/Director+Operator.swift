import Ratchet
import RatchetBroker

// What an operator does in a run.
extension Director {
    /// How often an operator tries something while the broker or a member is in the way.
    private static let tries = 30

    /// Moves the group's offset in one partition, while its pipelines are stopped, and decides later what is to become
    /// of it.
    func resetOffset(_ fault: SimulatedFault) async throws -> Ending {
        var random = SeededGenerator(seed: world.seed, purpose: 100_000 + UInt64(fault.time))
        let place = TopicPartition(World.topic, random.next(in: 0..<world.scenario.partitions))
        let decision: ResumePolicy.Reset = random.chance(50) ? .resume : .reprocess
        process.decide(.stop)
        for member in 0..<world.scenario.members { process.leave(member) }
        for _ in 0..<Self.tries {
            if await reset(place, &random) {
                world.injected.note(.resetOffset)
                break
            }
            try await world.clock.sleep(for: .milliseconds(300))
        }
        for member in 0..<world.scenario.members { process.comeBack(member) }
        // In any case: a broker that died may have done it all the same, and an earlier reset may stand.
        return {
            process.decide(decision)
            for member in 0..<world.scenario.members {
                process.leave(member)
                process.comeBack(member)
            }
        }
    }

    private func reset(_ place: TopicPartition, _ random: inout SeededGenerator) async -> Bool {
        do {
            let broker = try broker.running()
            let end = try broker.logEnds(of: World.topic)[place] ?? 0
            let committed = try broker.offsets(group: World.group)[place]?.offset ?? 0
            guard end > 0 else { return false }
            let isBack = committed > 0 && random.chance(70)
            let offset = random.next(in: 0..<Int(isBack ? committed : end + 1))
            try await broker.resetOffset(group: World.group, partition: place, to: Int64(offset))
            return true
        } catch {
            return false
        }
    }

    /// Deletes the topic, and makes it anew at the end.
    func makeTopicAnew() async throws -> Ending {
        guard let id = try await deleteTopic() else { return {} }
        world.injected.note(.makeTopicAnew)
        let partitions = world.scenario.partitions
        world.record.deleted(id, (0..<partitions).map { TopicPartition(World.topic, $0) })
        return {
            while true {
                do { return try await broker.running().createTopic(World.topic, partitions: partitions) } catch {
                    try await world.clock.sleep(for: .milliseconds(300))
                }
            }
        }
    }

    /// The id of the topic that is gone now; nil if there was none, or the broker is down for too long.
    private func deleteTopic() async throws -> String? {
        var id: String?
        var tries = 0
        // A broker that died meanwhile may have done it: then it has to come back before anybody knows.
        while tries < Self.tries || id != nil {
            tries += 1
            do {
                let broker = try broker.running()
                // Gone: a broker that died may have done it all the same.
                guard broker.topics().contains(World.topic) else { return id }
                id = try broker.describe(World.topic).id
                try await broker.deleteTopic(World.topic)
                return id
            } catch {
                try await world.clock.sleep(for: .milliseconds(300))
            }
        }
        return nil
    }
}
