import Ratchet
import Synchronization

/// The history of a simulation, as it is recorded. An event whose beginning and end lie apart is put where it began,
/// once its end is known.
final class SimulatedRecord: Sendable {
    struct Entry {
        var place: Int
        var time: Int64
        var event: History.Event
    }

    struct State {
        var history = History()
        var entries: [Entry] = []
        var lastPlace = 0
        var effects: Set<SimulatedEffect> = []
        /// The newest generation of each partition.
        var generations: [TopicPartition: Int64] = [:]
        /// The deliveries that are dead letters.
        var deadLettered: Set<DeadDelivery> = []
        var incarnations = Incarnations()
        /// The partitions, by their names in the history, that some pipeline has begun with.
        var started: Set<TopicPartition> = []
        /// The partitions of topics that were deleted.
        var gone: Set<TopicPartition> = []
        /// From where on a ledger may have forgotten what it had done in each of them, of which nobody has told.
        var forgotten: [TopicPartition: Int64] = [:]
        /// The newest commit of each of them, as the pipelines know it.
        var committed: [TopicPartition: Int64] = [:]
        var problems: [String] = []
        /// What services outside know already.
        var known: Set<String> = []
    }

    private let scheduler: SimulatedScheduler
    let state = Mutex(State())

    init(_ scheduler: SimulatedScheduler) { self.scheduler = scheduler }

    /// A place in the order for what begins now.
    func reserve() -> Int {
        state.withLock { state in
            state.lastPlace += 1
            return state.lastPlace
        }
    }

    /// Records what happens now, or what began at a place that was reserved.
    func add(at place: Int? = nil, _ make: (inout History) throws -> History.Event) {
        let (now, reserved) = (scheduler.now, place ?? reserve())
        state.withLock { state in
            // A simulation has few partitions.
            guard let event = try? make(&state.history) else { preconditionFailure("too many partitions") }
            state.entries.append(Entry(place: reserved, time: now, event: event))
        }
    }

    /// What was wrong apart from the history, one line each.
    var problems: [String] { state.withLock { $0.problems } }

    /// Whether any handler has started.
    var hasStarted: Bool { state.withLock { state in state.entries.contains { $0.event.kind == .started } } }

    /// Records the effects that the ledger holds and did not hold before; that they cannot be read is a problem.
    func see(_ ledger: Ledger, _ read: (LedgerReader) throws -> [SimulatedEffect]) {
        do { see(try read(ledger.reader)) } catch {
            add(problem: "the effects cannot be read: \(error)")
        }
    }

    /// Looks in the ledger for all effects that it has told of: what is told once is there for ever.
    func findEffects(in ledger: Ledger, _ read: (LedgerReader) throws -> [SimulatedEffect]) {
        do {
            let found = Set(try read(ledger.reader))
            let missing = state.withLock { $0.effects.subtracting(found).map(\.message).sorted() }
            if !missing.isEmpty { add(problem: "effects that are not in the ledger any more: \(missing)") }
        } catch {
            add(problem: "the effects cannot be read: \(error)")
        }
    }

    private func see(_ effects: [SimulatedEffect]) {
        let new = state.withLock { state in effects.filter { state.effects.insert($0).inserted } }
        for effect in new {
            let name = name(of: effect.partition, effect.generation)
            add { history in
                let event = History.Event.effect(
                    history.message(effect.message),
                    try history.partition(name),
                    offset: effect.offset,
                    generation: effect.generation
                )
                return effect.name.map { history.naming(event, EffectName(text: $0, isOutside: false)) } ?? event
            }
        }
    }

    /// Adds a problem, on one line.
    func add(problem: String) { state.withLock { $0.problems.append(problem) } }

    /// Whether a service outside gets this for the first time. It outlives all processes of the simulation.
    func isNew(_ request: String) -> Bool { state.withLock { $0.known.insert(request).inserted } }

    /// How many effects were seen, of how many messages.
    var effectCounts: (effects: Int, messages: Int) {
        // Any order: they are counted.
        state.withLock { ($0.effects.count, Set($0.effects.map(\.message)).count) }
    }

    /// All that was recorded, in order. Times rise with it: a reserved place has the time of what followed it.
    func history() -> History {
        state.withLock { state in
            var history = state.history
            var time: Int64 = 0
            for entry in state.entries.sorted(by: { $0.place < $1.place }) {
                time = max(time, min(entry.time, scheduler.now))
                history.append(entry.event, at: time)
            }
            return history
        }
    }
}
