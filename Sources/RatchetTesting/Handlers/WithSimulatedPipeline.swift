public import Ratchet

/// Runs an async handler in a simulation of its pipeline, its ledger and a broker, once, with what goes wrong by `seed`:
/// in one thread, its own, in some milliseconds, the same in every process and on every machine.
///
/// ```swift
/// let outcome = try await withSimulatedPipeline(seed: 17, decoding: .raw) { message, context, world in
///     try await world.call("charge", idempotencyKey: context.idempotencyKey)
///     context.onCommit { try world.effect("booked", in: $0) }
/// }
/// #expect(outcome.isSound, "\(outcome.story)")
/// ```
///
/// If it fails, the outcome is that of the fewest faults with which it still does. For many seeds, and everything else
/// that can be set, see ``SimulatedHandler``.
///
/// - Parameters:
///   - seed: What decides everything.
///   - faults: What may go wrong; by default everything that happens without an operator.
///   - messages: What the producers send: see ``SimulatedHandler/messages``.
///   - decoder: How payloads become what the handler gets.
///   - keys: Where the idempotency key comes from.
///   - handler: The handler under proof. It says by the world it is given what effects it has.
/// - Throws: ``SimulationError`` when there is no place for the run's files.
public func withSimulatedPipeline<Payload: Sendable>(
    seed: UInt64,
    faults: [SimulatedFault.Kind] = SimulatedFault.Kind.withoutOperator,
    messages: [SimulatedMessage]? = nil,
    decoding decoder: Decoder<Payload>,
    identifiedBy keys: KeySource<Payload> = .messageID,
    handler: @escaping @Sendable (Payload, HandlerContext, SimulatedWorld) async throws -> Void
) async throws(SimulationError) -> HandlerOutcome {
    var simulated = SimulatedHandler(messages: messages, decoding: decoder, identifiedBy: keys, handler: handler)
    simulated.faults = faults
    return try await simulated.run(seed: seed)
}

/// Runs a transactional handler in a simulation of its pipeline, its ledger and a broker, once, with what goes wrong by
/// `seed`. All else is as for an async handler.
///
/// - Parameters:
///   - seed: What decides everything.
///   - faults: What may go wrong; by default everything that happens without an operator.
///   - messages: What the producers send: see ``SimulatedHandler/messages``.
///   - decoder: How payloads become what the handler gets.
///   - keys: Where the idempotency key comes from.
///   - handler: The handler under proof. It says by the world it is given what effects it has.
/// - Throws: ``SimulationError`` when there is no place for the run's files.
public func withSimulatedPipeline<Payload: Sendable>(
    seed: UInt64,
    faults: [SimulatedFault.Kind] = SimulatedFault.Kind.withoutOperator,
    messages: [SimulatedMessage]? = nil,
    decoding decoder: Decoder<Payload>,
    identifiedBy keys: KeySource<Payload> = .messageID,
    transactional handler: @escaping @Sendable (Payload, borrowing LedgerTransaction, SimulatedWorld) throws -> Void
) async throws(SimulationError) -> HandlerOutcome {
    var simulated = SimulatedHandler(messages: messages, decoding: decoder, identifiedBy: keys, transactional: handler)
    simulated.faults = faults
    return try await simulated.run(seed: seed)
}
