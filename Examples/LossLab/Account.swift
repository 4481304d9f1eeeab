/// What a step tells the lab, one line each, through its standard output.
struct Line: Sendable, Hashable {
    enum Kind: String, Sendable {
        /// The message was handed to the broker; it is not known, or nobody asked, what became of it.
        case sent
        /// It is confirmed.
        case acknowledged
        /// It was not written, for sure.
        case refused
        /// It was sent, and the outcome is not known.
        case unknown
        /// It had its effect.
        case effect
        /// Not of a message: so many were sent and confirmed in a second.
        case rate
    }

    let kind: Kind
    let value: String

    init(_ kind: Kind, _ value: String) {
        self.kind = kind
        self.value = value
    }

    init?(_ text: String) {
        let words = text.split(separator: " ")
        guard words.count == 2, let kind = Kind(rawValue: String(words[0])) else { return nil }
        self.init(kind, String(words[1]))
    }

    var text: String { "\(kind.rawValue) \(value)\n" }
}

/// A sender's books: what it knows of each message.
struct Account: Sendable {
    /// The greater of two is what is known in the end.
    private enum Outcome: Int, Comparable {
        case handedOver, refused, unknown, acknowledged
        static func < (one: Outcome, other: Outcome) -> Bool { one.rawValue < other.rawValue }
    }

    private var outcomes: [String: Outcome] = [:]
    private(set) var effects = 0
    private var perSecond: Int?

    mutating func note(_ line: Line) {
        switch line.kind {
        case .sent: note(line.value, .handedOver)
        case .acknowledged: note(line.value, .acknowledged)
        case .refused: note(line.value, .refused)
        case .unknown: note(line.value, .unknown)
        case .effect: effects += 1
        case .rate: perSecond = Int(line.value)
        }
    }

    private mutating func note(_ id: String, _ outcome: Outcome) {
        outcomes[id] = max(outcomes[id] ?? .handedOver, outcome)
    }

    var sent: Int { outcomes.count }

    var acknowledged: [String] { outcomes.filter { $0.value == .acknowledged }.keys.sorted() }

    /// The tally, with the effects that were found for each message.
    func tally(_ effects: [String: Int]) -> Tally {
        var tally = Tally(sent: sent, perSecond: perSecond)
        for (id, outcome) in outcomes {
            if outcome == .acknowledged { tally.acknowledged += 1 }
            if outcome == .unknown { tally.unknown += 1 }
            let isBelieved = outcome == .acknowledged || outcome == .handedOver
            if isBelieved, effects[id] == nil { tally.lost += 1 }
        }
        tally.effects = effects.values.reduce(0, +)
        tally.twice = effects.values.count { $0 > 1 }
        return tally
    }
}
