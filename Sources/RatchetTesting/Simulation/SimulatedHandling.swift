public import Ratchet

/// What surrounds a handler in a simulation: it records when the handler runs, and lets it fail and take long.
public struct SimulatedHandling: Sendable {
    let link: SimulatedLink
    let record: SimulatedRecord
    let clock: SimulatedClock

    /// Runs an async handler's body. Throws what it throws, and sometimes ``SimulatedFailure``.
    public func around(_ message: Message, _ body: () async throws -> Void) async throws {
        note(message) { .started($0, $1, offset: $2, generation: $3, key: $4) }
        do {
            // Long enough, now and then, for the group to give the partition to somebody else meanwhile.
            if link.chance(link.weather.hasBadHandlers ? 30 : 10) {
                try await clock.sleep(for: .milliseconds(link.draw(below: 15_000)))
            }
            try fail(message)
            try await body()
            try failLate()
        } catch {
            note(message) { .failed($0, $1, offset: $2, generation: $3, key: $4) }
            throw error
        }
        note(message) { .finished($0, $1, offset: $2, generation: $3, key: $4) }
    }

    /// Runs a transactional handler's body. Throws what it throws, and sometimes ``SimulatedFailure``.
    public func inTransaction(_ message: Message, _ body: () throws -> Void) throws {
        note(message) { .started($0, $1, offset: $2, generation: $3, key: $4) }
        do {
            try fail(message)
            try body()
            try failLate()
        } catch {
            note(message) { .failed($0, $1, offset: $2, generation: $3, key: $4) }
            throw error
        }
        note(message) { .finished($0, $1, offset: $2, generation: $3, key: $4) }
    }

    /// A few messages always fail, others now and then.
    private func fail(_ message: Message) throws {
        let isPoison = message.text.hasSuffix("-7")
        if isPoison || link.chance(link.weather.hasBadHandlers ? 40 : 4) { throw SimulatedFailure() }
    }

    /// What the body has done is not to count then.
    private func failLate() throws {
        if link.chance(link.weather.hasBadHandlers ? 20 : 2) { throw SimulatedFailure() }
    }

    typealias Making = (MessageID, PartitionID, Int64, Int64, OrderedKeyID) -> History.Event

    func note(_ message: Message, _ make: Making) {
        // Of a process that has died nobody hears any more, and a handler whose partition another member has taken over
        // meanwhile may run beside the new one: it holds the older fencing token.
        if link.isDead || record.isOutdated(message) { return }
        record.add { history in
            let partition = try history.partition(message.topicPartition)
            let key = message.key.map { String(decoding: $0, as: UTF8.self) } ?? message.name
            return make(
                history.message(message.name),
                partition,
                message.offset,
                message.generation,
                history.key(key, in: partition)
            )
        }
    }
}

/// What a handler fails with now and then.
public struct SimulatedFailure: Error, CustomStringConvertible {
    /// `a simulated failure`.
    public var description: String { "a simulated failure" }
}
