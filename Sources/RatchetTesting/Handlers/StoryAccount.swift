/// The account of some messages and of all faults, in the order of time, one line each.
struct StoryAccount {
    private struct Entry {
        let time: Int64
        /// Among entries of one time.
        let place: Int
        let text: String
    }

    private let history: History
    private let messages: [MessageID]
    private var entries: [Entry] = []
    /// How often something happened to a message.
    private var counts: [String: Int] = [:]
    /// Where the messages were delivered from and no commit has passed yet.
    private var waiting: [(message: MessageID, partition: PartitionID, offset: Int64)] = []

    init(history: History, spells: [FaultSpell], messages: [MessageID]) {
        self.history = history
        self.messages = messages
        for (index, event) in history.events.enumerated() { add(event, index) }
        for spell in spells {
            let words = spell.fault.words
            entries.append(Entry(time: spell.began, place: -1, text: words.begins))
            guard let text = words.ends, let time = spell.ended else { continue }
            entries.append(Entry(time: time, place: -1, text: text))
        }
        entries.sort { ($0.time, $0.place) < ($1.time, $1.place) }
    }

    var lines: [String] {
        entries.map { entry in
            let time = "\(entry.time / 1_000_000)"
            return String(repeating: " ", count: max(0, 7 - time.count)) + "\(time) ms  \(entry.text)"
        }
    }

    private mutating func add(_ event: History.Event, _ index: Int) {
        if event.kind == .committed { return addCommit(event, index) }
        guard messages.contains(event.message), let text = text(event) else { return }
        entries.append(Entry(time: event.time, place: index, text: text))
    }

    /// A commit is told where it is the first that passes one of the messages.
    private mutating func addCommit(_ event: History.Event, _ index: Int) {
        let passed = waiting.filter { $0.partition == event.partition && $0.offset < event.offset }
        guard !passed.isEmpty else { return }
        waiting.removeAll { $0.partition == event.partition && $0.offset < event.offset }
        let names = passed.map { history.name(of: $0.message) }.joined(separator: ", ")
        let text = "\(history.name(of: event.partition)) is committed up to offset \(event.offset), past \(names)"
        entries.append(Entry(time: event.time, place: index, text: text))
    }

    private mutating func text(_ event: History.Event) -> String? {
        let name = history.name(of: event.message)
        let place = "\(history.name(of: event.partition)), offset \(event.offset)"
        switch event.kind {
        case .sending: return "\(name) is sent"
        case .sentOK: return "\(name) is in \(place)"
        case .sentUnknown: return "the send of \(name) fails: it may be in the log all the same"
        case .delivered:
            if !waiting.contains(where: { $0.partition == event.partition && $0.offset == event.offset }) {
                waiting.append((event.message, event.partition, event.offset))
            }
            let again = next("\(name) delivered") > 1 ? " again" : ""
            return "\(name) is delivered\(again) from \(place) (generation \(event.generation))"
        case .started: return "\(name): its handler starts" + (next("\(name) started") > 1 ? " again" : "")
        case .finished: return "\(name): its handler is through"
        case .failed: return "\(name): its attempt fails"
        case .effect: return effect(event, name)
        case .skipped: return "\(name) is called done, as its effect is there already"
        case .deadLettered: return "\(name) is given up and kept as a dead letter"
        default: return nil
        }
    }

    private mutating func effect(_ event: History.Event, _ name: String) -> String {
        guard let effect = history.effectName(of: event) else { return "\(name): effect \(next("\(name) effect"))" }
        let number = next("\(name) \(effect.text) \(effect.isOutside)")
        return "\(name): effect \(number), \"\(effect.text)\", \(effect.isOutside ? "outside" : "is in the ledger")"
    }

    private mutating func next(_ what: String) -> Int {
        counts[what, default: 0] += 1
        return counts[what, default: 0]
    }
}

extension SimulatedFault {
    private var whose: String { kind.hitsOnePipeline ? " of pipeline \(member)" : "" }

    /// How a story tells of its beginning and its end.
    fileprivate var words: (begins: String, ends: String?) {
        switch kind {
        case .crashProcess: ("the process of the pipelines dies", "the process of the pipelines comes back")
        case .crashBroker: ("the broker dies", "the broker comes back")
        case .cutOff: ("pipeline \(member) is cut off from the broker", "pipeline \(member) is connected again")
        case .freezeProcess: ("the process of the pipelines stands still", "the process of the pipelines goes on")
        case .leaveGroup: ("pipeline \(member) leaves the group", "pipeline \(member) comes back to the group")
        case .leapClock: ("the wall clock leaps", nil)
        case .loseAnswers:
            ("answers to calls of pipeline \(member) begin to be lost", "pipeline \(member) gets all answers again")
        case .slowNetwork:
            ("the network of pipeline \(member) becomes slow", "the network of pipeline \(member) is fast again")
        case .badHandlers:
            ("handlers of pipeline \(member) begin to fail", "handlers of pipeline \(member) fail no more")
        case .hangHandlers:
            ("handlers of pipeline \(member) begin to hang", "handlers of pipeline \(member) hang no more")
        case .badSends: ("sends begin to fail", "sends fail no more")
        case .failLedgerCommit:
            ("the next commit of the ledger is to fail", "a process whose ledger has failed is replaced by a new one")
        default:
            ("it begins: \(kind.rawValue)\(whose)", "it ends: \(kind.rawValue)\(whose)")
        }
    }
}
