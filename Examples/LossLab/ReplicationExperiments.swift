import Ratchet
import RatchetBroker

/// Brokers of three nodes, of which some die.
enum ReplicationExperiments {
    static let all = [acksNone, acksLeader, minimum, unclean, factor]

    // MARK: What a confirm waits for

    private static let acksNone = Experiment(
        name: "acks-none",
        title: "The leader dies before the followers have what it was sent",
        harm: .lost,
        leak: Variant("acks none", [.works { try await leaderDies($0, .none) }, processLog]),
        cure: Variant("acks all, sent again until then", [.works { try await leaderDies($0, .all) }, processLog])
    )

    private static let acksLeader = Experiment(
        name: "acks-leader",
        title: "The leader dies before the followers have what it has confirmed",
        harm: .lost,
        leak: Variant("acks leader", [.works { try await leaderDies($0, .leader) }, processLog]),
        cure: Variant("acks all, sent again until then", [.works { try await leaderDies($0, .all) }, processLog])
    )

    /// Of the second half of the messages the followers have nothing when the leader dies.
    private static func leaderDies(_ lab: Lab, _ acks: Acks) async throws {
        try await lab.withCluster { broker in
            try await broker.createTopic(Lab.topic, replicationFactor: 3, minInSyncReplicas: 2)
            var settings = ProducerSettings()
            settings.acks = acks
            settings.retryDelay = .milliseconds(5)
            let producer = try await broker.producer(settings)
            try await lab.send(lab.ids.prefix(lab.messages / 2), producer)
            try await broker.wait("all replicas have the first half") {
                try broker.logEnds(of: Lab.topic).values.allSatisfy { $0 == lab.messages / 2 }
            }
            let leader = try broker.leader()
            for node in broker.nodes where node.number != leader { node.slowDown(by: .seconds(3600)) }
            let rest = lab.ids.suffix(lab.messages - lab.messages / 2)
            var confirmations: [Confirmation] = []
            for id in rest {
                // At once, so that the leader has it: the producer has one message after the other on its way.
                if acks == .none {
                    try await broker.send(lab.message(id), acks: .none)
                } else {
                    confirmations.append(try await producer.enqueue(lab.message(id)))
                }
            }
            lab.tell(.sent, rest)
            if acks == .leader { try await confirmations.wait(lab, rest) }
            await broker.nodes[leader].kill()
            for node in broker.nodes { node.slowDown(by: nil) }
            try await broker.wait("another one leads") { try broker.replication().leader != nil }
            if acks == .all { try await confirmations.wait(lab, rest) }
            try await broker.nodes[leader].start()
            try await broker.waitUntilWhole()
        }
    }

    // MARK: An in-sync set that has shrunk

    private static let minimum = Experiment(
        name: "min-in-sync",
        title: "Acks all, the leader alone is in sync, and its disk is lost",
        harm: .lost,
        leak: Variant("minInSyncReplicas 1", [.works { try await onlyDiskIsLost($0, minimum: 1) }, processLog]),
        cure: Variant("minInSyncReplicas 2", [.works { try await onlyDiskIsLost($0, minimum: 2) }, processLog])
    )

    /// The second half of the messages is sent while the followers are down. Where nobody else may lead then, the most
    /// is made of what is left.
    private static func onlyDiskIsLost(_ lab: Lab, minimum: Int) async throws {
        try await lab.withCluster { broker in
            try await broker.createTopic(
                Lab.topic,
                replicationFactor: 3,
                minInSyncReplicas: minimum,
                allowsUncleanElection: true
            )
            let (leader, confirmations) = try await sendWhileLeaderIsAlone(lab, broker, minimum: minimum)
            try await broker.nodes[leader].wipe()
            // The one with the lost disk last.
            for number in 1...3 { try await broker.nodes[(leader + number) % 3].start() }
            try await broker.waitUntilWhole()
            if minimum > 1 { try await confirmations.wait(lab, lab.ids.suffix(confirmations.count)) }
        }
    }

    private static let unclean = Experiment(
        name: "unclean-election",
        title: "The only replica in sync dies, and comes back after the others",
        harm: .lost,
        leak: Variant("unclean election", [.works { try await othersComeFirst($0, unclean: true) }, processLog]),
        cure: Variant(
            "nobody leads until it is back",
            [.works { try await othersComeFirst($0, unclean: false) }, processLog]
        )
    )

    private static func othersComeFirst(_ lab: Lab, unclean: Bool) async throws {
        try await lab.withCluster { broker in
            try await broker.createTopic(Lab.topic, replicationFactor: 3, allowsUncleanElection: unclean)
            let (leader, _) = try await sendWhileLeaderIsAlone(lab, broker, minimum: 1)
            await broker.nodes[leader].kill()
            for number in 1...2 { try await broker.nodes[(leader + number) % 3].start() }
            if unclean { try await broker.wait("another one leads") { try broker.replication().leader != nil } }
            guard try unclean || broker.replication().leader == nil else {
                throw LabError("a node leads that was not in sync")
            }
            try await broker.nodes[leader].start()
            try await broker.waitUntilWhole()
        }
    }

    /// Sends half of the messages, lets both followers end, and sends the others; returns who leads, and the others'
    /// confirmations, which have come unless the minimum forbids it.
    private static func sendWhileLeaderIsAlone(
        _ lab: Lab,
        _ broker: Broker,
        minimum: Int
    ) async throws -> (leader: Int, [Confirmation]) {
        var settings = ProducerSettings()
        settings.retryDelay = .milliseconds(5)
        let producer = try await broker.producer(settings)
        try await lab.send(lab.ids.prefix(lab.messages / 2), producer)
        let leader = try broker.leader()
        for node in broker.nodes where node.number != leader { await node.stop() }
        try await broker.wait("the leader is alone") { try broker.replication().inSync == [leader] }
        let rest = lab.ids.suffix(lab.messages - lab.messages / 2)
        var confirmations: [Confirmation] = []
        for id in rest { confirmations.append(try await producer.enqueue(lab.message(id))) }
        lab.tell(.sent, rest)
        if minimum == 1 { try await confirmations.wait(lab, rest) }
        return (leader, confirmations)
    }

    // MARK: A lost disk

    private static let factor = Experiment(
        name: "replication-factor",
        title: "The leader's disk is lost",
        harm: .lost,
        leak: Variant("replicationFactor 1", [.works { try await diskIsLost($0, replicas: 1) }, processLog]),
        cure: Variant("replicationFactor 3", [.works { try await diskIsLost($0, replicas: 3) }, processLog])
    )

    private static func diskIsLost(_ lab: Lab, replicas: Int) async throws {
        try await lab.withCluster { broker in
            try await broker.createTopic(
                Lab.topic,
                replicationFactor: replicas,
                minInSyncReplicas: min(replicas, 2),
                allowsUncleanElection: true
            )
            try await lab.send(lab.ids[...], try await broker.producer())
            let leader = try broker.leader()
            try await broker.nodes[leader].wipe()
            try await broker.nodes[leader].start()
            try await broker.waitUntilWhole()
        }
    }

    private static let processLog = Step.works { lab in
        try await lab.withCluster { try await lab.processLog($0) }
    }
}

extension Lab {
    /// Opens a broker of three nodes in the step's folder, and lets it run.
    fileprivate func withCluster(_ body: @escaping @Sendable (Broker) async throws -> Void) async throws {
        try await withBroker { configuration in
            configuration.nodes = 3
            configuration.tickInterval = .milliseconds(10)
            // Who is slowed down stays in sync for as long as the experiment takes.
            configuration.replicaLagTime = .seconds(3600)
        } _: { broker in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await broker.run() }
                group.addTask { try await body(broker) }
                try await group.next()
                group.cancelAll()
            }
        }
    }
}

extension Broker {
    fileprivate func replication() throws -> TopicDescription.Replication {
        guard let replication = try describe(Lab.topic).partitions[0].replication else {
            throw LabError("the broker has one node")
        }
        return replication
    }

    fileprivate func leader() throws -> Int {
        guard let leader = try replication().leader else { throw LabError("nobody leads") }
        return leader
    }

    fileprivate func waitUntilWhole() async throws {
        try await wait("all replicas are in sync") {
            let replication = try self.replication()
            return replication.leader != nil && replication.inSync.count == replication.replicas.count
        }
    }

    /// Waits until it is so; a minute at the most.
    fileprivate func wait(_ what: String, until isSo: () throws -> Bool) async throws {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(60)
        while try !isSo() {
            guard clock.now < end else { throw LabError("after a minute it is still not so that \(what)") }
            try await clock.sleep(for: .milliseconds(2))
        }
    }
}

extension [Confirmation] {
    /// Waits for all, and tells what is confirmed.
    fileprivate func wait(_ lab: Lab, _ ids: some Sequence<String>) async throws {
        for confirmation in self { _ = try await confirmation.wait() }
        lab.tell(.acknowledged, ids)
    }
}
