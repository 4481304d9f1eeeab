/// One way to lose a message, or to process it twice, and what stops it.
struct Experiment: Sendable {
    /// What a leak does to messages.
    enum Harm: String, Codable, Sendable {
        case lost, twice, unknown
    }

    /// By which it is asked for.
    let name: String
    /// What goes wrong.
    let title: String
    /// What that does without the cure.
    let harm: Harm
    /// Whether a real broker has to be killed for it.
    let killsServer: Bool
    let leak: Variant
    let cure: Variant

    init(name: String, title: String, harm: Harm, killsServer: Bool = false, leak: Variant, cure: Variant) {
        self.name = name
        self.title = title
        self.harm = harm
        self.killsServer = killsServer
        self.leak = leak
        self.cure = cure
    }

    subscript(side: Side) -> Variant {
        switch side {
        case .leak: leak
        case .cure: cure
        }
    }

    /// With the broker in the process.
    static let all =
        ProducerExperiments.all + StorageExperiments.all + ReplicationExperiments.all + ConsumerExperiments.all
}

enum Side: String, CaseIterable, Sendable {
    case leak, cure
}

/// What is done on one side of an experiment.
struct Variant: Sendable {
    /// Where effects happen.
    enum Effects: Sendable {
        /// Outside: each is told when it happens.
        case told
        /// In the ledger of the step's folder: another process reads them from there at the end.
        case inLedger
    }

    /// The settings that make the difference.
    let settings: String
    let effects: Effects
    /// One process after the other, in one folder.
    let steps: [Step]

    init(_ settings: String, effects: Effects = .told, _ steps: [Step]) {
        self.settings = settings
        self.effects = effects
        self.steps = steps
    }
}

/// What one process does.
struct Step: Sendable {
    /// How the process must end.
    enum End: Sendable {
        case normal, killed
    }

    let end: End
    let body: @Sendable (Lab) async throws -> Void

    /// A step that ends well.
    static func works(_ body: @escaping @Sendable (Lab) async throws -> Void) -> Step { Step(end: .normal, body: body) }

    /// A step whose process dies of SIGKILL, by its own hand.
    static func dies(_ body: @escaping @Sendable (Lab) async throws -> Void) -> Step { Step(end: .killed, body: body) }
}

extension [Experiment] {
    func named(_ name: String) -> Experiment? { first { $0.name == name } }
}
