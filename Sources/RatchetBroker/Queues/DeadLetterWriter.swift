import Ratchet

/// Moves messages of queues to their dead-letter topics.
struct DeadLetterWriter: Sendable {
    let catalog: Catalog
    let producers: ProducerRegistry
    /// Nil for a broker of one node.
    let cluster: Cluster?
    let time: TimeSource

    /// The messages as they are to be appended, with what became of them in their headers; without those that retention
    /// has removed. Throws when the topic cannot take them.
    func messages(
        of letters: [SharedGroup.DeadLetter],
        from group: SharedGroupShell,
        to topic: String
    ) throws -> JointAppend {
        var batch = OutgoingBatch()
        for letter in letters {
            guard let message = try message(of: letter, group) else { continue }
            try batch.append(
                to: topic,
                key: message.key,
                payload: message.payload,
                headers: message.headers + headers(of: letter, group)
            )
        }
        let routed = RoutedBatch(batch, catalog: catalog, now: time.wall())
        if let fault = routed.faults.first { throw fault.error }
        let messages = JointAppend(routed, owner: nil, producers, cluster, now: time.wall())
        try messages.takeRoomAtOnce()
        return messages
    }

    private func message(of letter: SharedGroup.DeadLetter, _ group: SharedGroupShell) throws -> Message? {
        let log = group.topic.logs[letter.partition]
        return try LogReader(log).message(at: letter.offset, generation: 0)
    }

    private func headers(of letter: SharedGroup.DeadLetter, _ group: SharedGroupShell) -> [Header] {
        [
            Header("dead-letter-topic", group.topic.name), Header("dead-letter-partition", "\(letter.partition)"),
            Header("dead-letter-offset", "\(letter.offset)"), Header("dead-letter-group", group.name),
            Header("dead-letter-reason", letter.reason.rawValue), Header("dead-letter-deliveries", "\(letter.count)"),
        ]
    }
}
