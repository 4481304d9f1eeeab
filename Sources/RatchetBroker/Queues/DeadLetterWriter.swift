import Ratchet

/// Moves messages of queues to their dead-letter topics.
struct DeadLetterWriter: Sendable {
    let catalog: Catalog
    let producers: ProducerRegistry
    /// Nil for a broker of one node.
    let cluster: Cluster?
    let time: TimeSource

    /// The messages as they are to be appended, with what became of them in their headers, whatever their sizes are by
    /// that; without those that retention has removed. Throws when the topic cannot take them.
    func messages(
        of letters: [SharedGroup.DeadLetter],
        from group: SharedGroupShell,
        to topic: String
    ) throws -> JointAppend {
        var batch = OutgoingBatch()
        for letter in letters {
            guard let message = try message(of: letter, group) else { continue }
            try append(message, with: headers(of: letter, group), to: topic, &batch)
        }
        let routed = RoutedBatch(batch, catalog: catalog, now: time.wall(), limitsSizes: false)
        if let fault = routed.faults.first { throw fault.error }
        let messages = JointAppend(routed, owner: nil, producers, cluster, now: time.wall())
        try messages.takeRoomAtOnce()
        return messages
    }

    private func append(
        _ message: Message,
        with added: [Header],
        to topic: String,
        _ batch: inout OutgoingBatch
    ) throws {
        let (key, payload, headers) = (message.key, message.payload, message.headers)
        // A dead letter that becomes one again says what became of it last.
        let others = headers.filter { header in !added.contains { $0.name == header.name } }
        do {
            try batch.append(to: topic, key: key, payload: payload, headers: others + added)
        } catch {
            guard error.code == .tooLarge else { throw error }
            // No message at all is as large: better without them than delivered for ever.
            try batch.append(to: topic, key: key, payload: payload, headers: headers)
        }
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
