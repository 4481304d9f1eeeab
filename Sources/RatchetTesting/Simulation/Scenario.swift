public import Ratchet
public import ServiceLifecycle

/// What a simulation runs: how many producers, partitions and pipelines, and the pipelines themselves.
public struct Scenario: Sendable {
    /// How many partitions the topic has, 1 or more. Default: 3.
    public var partitions = 3
    /// How many producers send, each in an order of its own. Default: 2.
    public var producers = 2
    /// How many messages each of them sends. Default: 25.
    public var messages = 25
    /// How many different keys they have. Default: 5.
    public var keys = 5
    /// How many pipelines share the ledger, as members of one group in one process, 1 or more. Default: 2.
    public var members = 2
    /// The most faults. Default: 8.
    public var faults = 8
    /// What may go wrong. Default: everything; empty: nothing does.
    public var faultKinds = SimulatedFault.Kind.allCases
    /// When the last fault begins at the latest, in simulated time; then everything heals. Default: 8 s.
    public var faultTime: Duration = .seconds(8)
    /// How long the healed system may take until nothing is left to do, in simulated time. Default: 10 minutes.
    public var healingTime: Duration = .seconds(600)
    /// The most steps of a whole run. Default: 2,000,000.
    public var maximumSteps = 2_000_000
    /// Makes the pipeline of a member.
    public var pipeline: @Sendable (SimulatedMember) -> any Service
    /// The effects that the ledger holds: one for each time that a message had its effect. One that it does not hold any
    /// more at the end is a problem of the run.
    public var effects: @Sendable (LedgerReader) throws -> [SimulatedEffect]

    /// What is asked of a handler of somebody else's, nil for the scenario's own.
    var proof: HandlerProof?
    /// Where the handlers publish.
    var outputs: [String] { proof?.outputs ?? [World.receipts] }

    /// The standard scenario: handlers of both kinds, by the seed, count each message in the ledger and publish a
    /// receipt for it.
    public static let standard = Scenario(
        pipeline: { StandardHandlers.pipeline($0) },
        effects: { try LedgerEffects.all($0) }
    )

    /// A scenario of your own handlers: `pipeline` makes a member's pipeline, with all that it is given; `effects` reads
    /// from the ledger what they have done.
    public init(
        pipeline: @escaping @Sendable (SimulatedMember) -> any Service,
        effects: @escaping @Sendable (LedgerReader) throws -> [SimulatedEffect]
    ) {
        self.pipeline = pipeline
        self.effects = effects
    }
}

/// What a pipeline of a simulation is made of: all of it is to be used as it is.
public struct SimulatedMember: Sendable {
    /// The member's number, from 0.
    public let number: Int
    /// The seed of the run, for what a handler leaves to chance.
    public let seed: UInt64
    /// Where its messages come from.
    public let source: any Source
    /// Where its messages go.
    public let sink: any Sink
    /// The ledger that all members share.
    public let ledger: Ledger
    /// Settings, with the simulation's clocks.
    public let configuration: PipelineConfiguration
    /// What surrounds a handler: it notes that it runs, and lets it fail and take long as the faults want it.
    public let handling: SimulatedHandling

    /// The member's pipeline, with all that it is given.
    func pipeline<Payload: Sendable>(
        decoding decoder: Decoder<Payload>,
        identifiedBy keys: KeySource<Payload>,
        configuration: PipelineConfiguration? = nil,
        handler: Pipeline<Payload>.Handler
    ) -> Pipeline<Payload> {
        Pipeline(
            "simulated",
            source: source,
            ledger: ledger,
            decoder: decoder,
            keys: keys,
            sink: sink,
            configuration: configuration ?? self.configuration,
            handler: handler
        )
    }
}

/// One effect that a message had.
public struct SimulatedEffect: Hashable, Sendable {
    /// The message's id.
    public var message: String
    /// Where it was delivered from.
    public var partition: TopicPartition
    /// Its offset there.
    public var offset: Int64
    /// The generation under which it was delivered.
    public var generation: Int64
    /// Tells the effects of one message apart, from 0.
    public var number: Int
    /// Which of a handler's effects it is; nil where there is one alone.
    public var name: String?

    /// An effect from its parts.
    public init(
        message: String,
        partition: TopicPartition,
        offset: Int64,
        generation: Int64,
        number: Int,
        name: String? = nil
    ) {
        self.message = message
        self.partition = partition
        self.offset = offset
        self.generation = generation
        self.number = number
        self.name = name
    }
}
