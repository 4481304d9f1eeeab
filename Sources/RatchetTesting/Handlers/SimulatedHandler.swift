public import Ratchet
import ServiceLifecycle

/// A handler under proof: real pipelines run it over a real ledger and a real broker, in one thread, and a seed decides
/// the order of everything, the time, and what goes wrong.
///
/// ```swift
/// let billing = SimulatedHandler(
///     messages: try orders.map { try SimulatedMessage(id: $0.id, key: $0.customer, json: $0) },
///     decoding: .json(Order.self),
///     identifiedBy: .field { $0.id }
/// ) { order, context, world in
///     try await world.call("charge", idempotencyKey: context.idempotencyKey)
///     context.onCommit { try world.effect("booked", in: $0) }
/// }
/// let outcome = try await billing.run(seeds: 1...500)
/// #expect(outcome.isSound, "\(outcome.story)")
/// ```
///
/// Everything that the handler does must be decided by its message and the simulation: it waits by
/// ``SimulatedWorld/clock``, leaves nothing to chance, and starts no task of its own outside of it (`Task {}`, an actor
/// with an executor of its own, a thread). Else one seed is not one run.
public struct SimulatedHandler: Sendable {
    /// What the producers send, in this order, to the topic `orders`: nil for 50 made up messages with the ids `p0-0` to
    /// `p1-24`, their ids as payloads, and five keys. Of two producers each sends every other one, and a send that fails
    /// is repeated, mostly: some come under several offsets, and a few not at all (``SimulatedEnd/received`` has those that
    /// came). Each message that came is to have each effect once, or to become a dead letter; a run in which none gets as
    /// far as the handler fails.
    public var messages: [SimulatedMessage]?
    /// What may go wrong. Default: everything that happens without an operator; empty: nothing does.
    public var faults = SimulatedFault.Kind.withoutOperator
    /// The most faults of a run, 0 or more. Default: 8.
    public var maximumFaults = 8
    /// When the last fault begins at the latest, in simulated time. Default: 8 s.
    public var faultTime: Duration = .seconds(8)
    /// How many partitions the topic has, 1 or more. Default: 3.
    public var partitions = 3
    /// How many pipelines share the ledger, as members of one group in one process, 1 or more. Default: 2.
    public var members = 2
    /// The effects that each message is to have. Others that are seen in the run may be there or not, and for no message
    /// more than once. Default: nil, for all that were seen in the run.
    public var effects: [String]?
    /// The topics that the handler publishes to, of one partition each. Default: `receipts`.
    public var outputs = ["receipts"]
    /// Changes the pipelines' settings. Their clock, logger and limits are the simulation's: 10 attempts from 100 ms,
    /// three handlers at once, small batches.
    public var configure: @Sendable (inout PipelineConfiguration) -> Void = { _ in }
    /// Checks at the end what a run has left behind, and returns what is wrong, one line each. Default: nothing more than
    /// the effects.
    public var verify: (@Sendable (SimulatedEnd) throws -> [String])?

    private let pipeline: @Sendable (SimulatedMember, PipelineConfiguration) -> any Service

    /// An async handler. It does things outside by ``SimulatedWorld/call(_:idempotencyKey:)``, and leaves others with
    /// `onCommit` and `publish`. `decoding` and `identifiedBy` are the pipeline's.
    public init<Payload: Sendable>(
        messages: [SimulatedMessage]? = nil,
        decoding decoder: Decoder<Payload>,
        identifiedBy keys: KeySource<Payload> = .messageID,
        handler: @escaping @Sendable (Payload, HandlerContext, SimulatedWorld) async throws -> Void
    ) {
        self.init(messages, decoder, keys) { handling in
            .inTasks { payload, context in
                let world = SimulatedWorld(message: context.message, attempt: context.attempt, handling: handling)
                try await handling.prove(world) { try await handler(payload, context, world) }
            }
        }
    }

    /// A transactional handler: it runs inside the ledger's transaction.
    public init<Payload: Sendable>(
        messages: [SimulatedMessage]? = nil,
        decoding decoder: Decoder<Payload>,
        identifiedBy keys: KeySource<Payload> = .messageID,
        transactional handler: @escaping @Sendable (Payload, borrowing LedgerTransaction, SimulatedWorld) throws -> Void
    ) {
        self.init(messages, decoder, keys) { handling in
            .inWriter { payload, transaction in
                guard let message = transaction.message else { preconditionFailure("a pipeline has a message") }
                let world = SimulatedWorld(message: message, attempt: transaction.attempt, handling: handling)
                try handling.proveInTransaction(world) { try handler(payload, transaction, world) }
            }
        }
    }

    private init<Payload: Sendable>(
        _ messages: [SimulatedMessage]?,
        _ decoder: Decoder<Payload>,
        _ keys: KeySource<Payload>,
        handler: @escaping @Sendable (SimulatedHandling) -> Pipeline<Payload>.Handler
    ) {
        self.messages = messages
        pipeline = { member, configuration in
            member.pipeline(
                decoding: decoder,
                identifiedBy: keys,
                configuration: configuration,
                handler: handler(member.handling)
            )
        }
    }

    /// What is run for each seed.
    var scenario: Scenario {
        let (pipeline, configure) = (pipeline, configure)
        var scenario = Scenario(
            pipeline: { member in
                var configuration = member.configuration
                configuration.retries = RetryPolicy(attempts: 10, initialDelay: .milliseconds(100))
                configure(&configuration)
                return pipeline(member, configuration)
            },
            effects: { try LedgerEffects.all($0) }
        )
        (scenario.partitions, scenario.members) = (partitions, members)
        (scenario.faults, scenario.faultKinds, scenario.faultTime) = (maximumFaults, faults, faultTime)
        scenario.proof = HandlerProof(messages: messages, outputs: outputs, check: verify)
        return scenario
    }
}
