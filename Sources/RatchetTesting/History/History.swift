public import Ratchet

/// What happened in a run, in order: sends, deliveries, effects, commits. To be checked by ``HistoryChecker``.
///
/// A history is of one consumer group or one queue; two groups get two histories. It is recorded by whoever drives the
/// run: a simulation, or a test around a real broker. Effects come from outside the program under test, through an
/// ``EffectFile``:
///
/// ```swift
/// var history = History()
/// let orders = try history.partition(TopicPartition("orders", 0))
/// history.append(.sending(history.message("order-1"), by: history.producer("shop")), at: now())
/// …
/// try EffectFile.read("effects", into: &history)
/// history.append(.drained, at: now())
/// let report = HistoryChecker.check(history)
/// #expect(report.isSound, "\(report)")
/// ```
public struct History: Sendable {
    /// How many partitions a history holds at the most.
    public static let maximumPartitions = 65_535

    /// The events, in order.
    public private(set) var events: [Event] = []
    /// How many events are kept: 32 bytes each.
    public let maximumEvents: Int
    /// Events that came when ``maximumEvents`` were there. A history that lacks some is never sound.
    public private(set) var droppedEvents = 0

    private(set) var kinds: [PartitionKind] = []
    private var messages = Interner<String>()
    private var partitions = Interner<TopicPartition>()
    private var producers = Interner<String>()
    private var keys = Interner<OrderedKeyName>()
    private var effects = Interner<EffectName>()

    /// An empty history of up to `maximumEvents` (1 to 4,294,967,294) events, 50 million by default.
    public init(maximumEvents: Int = 50_000_000) {
        precondition((1..<Int(UInt32.max)).contains(maximumEvents), "a history holds 1 to 4,294,967,294 events")
        self.maximumEvents = maximumEvents
    }

    /// How many messages have been named.
    public var messageCount: Int { messages.names.count }
    /// How many partitions have been named.
    public var partitionCount: Int { partitions.names.count }
    /// How many ordered keys have been named.
    public var keyCount: Int { keys.names.count }

    /// The message of that name: its idempotency key, or whatever tells it from others in the run.
    public mutating func message(_ name: String) -> MessageID { MessageID(number: messages.number(of: name)) }

    /// The partition of that name; `kind` counts where it is named for the first time.
    ///
    /// Throws ``HistoryError/Code/tooManyPartitions`` when there are ``maximumPartitions`` others.
    public mutating func partition(
        _ name: TopicPartition,
        kind: PartitionKind = .log
    ) throws(HistoryError) -> PartitionID {
        if let number = partitions.find(name) { return PartitionID(number: UInt16(number)) }
        guard partitionCount < Self.maximumPartitions else {
            throw HistoryError(.tooManyPartitions, "\(name) would be partition \(partitionCount + 1): split the run")
        }
        kinds.append(kind)
        return PartitionID(number: UInt16(partitions.number(of: name)))
    }

    /// The producer of that name.
    public mutating func producer(_ name: String) -> ProducerID { ProducerID(number: producers.number(of: name)) }

    /// The ordered key of that name in `partition`.
    public mutating func key(_ name: String, in partition: PartitionID) -> OrderedKeyID {
        OrderedKeyID(number: keys.number(of: OrderedKeyName(key: name, partition: partition)))
    }

    /// The effects that have names.
    var effectNames: [EffectName] { effects.names }

    /// The event of an effect, with its name.
    mutating func naming(_ event: Event, _ name: EffectName) -> Event {
        var event = event
        event.lane = effects.number(of: name)
        return event
    }

    /// The name of an effect, nil if it has none.
    func effectName(of event: Event) -> EffectName? {
        guard event.kind == .effect, event.lane < UInt32(effectNames.count) else { return nil }
        return effectNames[Int(event.lane)]
    }

    /// Adds what happened at `time`, nanoseconds on the history's clock, after all that was added before.
    public mutating func append(_ event: Event, at time: Int64) {
        guard events.count < maximumEvents else {
            droppedEvents += 1
            return
        }
        events.append(event)
        events[events.count - 1].time = time
    }

    /// Adds events where their time puts them: before the first event that is not earlier, so that an effect counts as
    /// there when something of the same moment follows from it.
    public mutating func merge(_ others: [Event]) {
        let accepted = others.prefix(maximumEvents - events.count)
        droppedEvents += others.count - accepted.count
        // By time, then as they came.
        let sorted = accepted.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
        var merged: [Event] = []
        merged.reserveCapacity(events.count + sorted.count)
        var next = 0
        for event in events {
            while next < sorted.count, sorted[next].element.time <= event.time {
                merged.append(sorted[next].element)
                next += 1
            }
            merged.append(event)
        }
        merged.append(contentsOf: sorted[next...].map(\.element))
        events = merged
    }

    /// Counts events that there was no room for.
    mutating func drop(_ count: Int) { droppedEvents += count }

    /// The same names with other events: a prefix of the history, or a doctored copy.
    public func replacingEvents(_ events: [Event]) -> History {
        var copy = self
        copy.events = Array(events.prefix(maximumEvents))
        copy.droppedEvents += max(0, events.count - maximumEvents)
        return copy
    }

    /// The name of a message.
    public func name(of message: MessageID) -> String {
        message.number < UInt32(messageCount) ? messages.names[Int(message.number)] : "?"
    }

    /// The name of a partition.
    public func name(of partition: PartitionID) -> String {
        Int(partition.number) < partitionCount ? "\(partitions.names[Int(partition.number)])" : "?"
    }

    /// The event at `index` on one line: `#12 delivered order-7 orders/0@41 generation 3`.
    public func describe(_ index: Int) -> String {
        let event = events[index]
        var text = "#\(index) \(event.kind)"
        if event.message != .none { text += " \(name(of: event.message))" }
        if event.kind == .sending, event.lane < UInt32(producers.names.count) {
            text += " by \(producers.names[Int(event.lane)])"
        }
        if event.partition != .none {
            text += " \(name(of: event.partition))"
            if event.offset >= 0 { text += "@\(event.offset)" }
        }
        if event.generation > 0 { text += " generation \(event.generation)" }
        if event.lane < UInt32(keyCount), [.started, .finished, .failed].contains(event.kind) {
            text += " key \(keys.names[Int(event.lane)].key)"
        }
        if let name = effectName(of: event) { text += " \"\(name.text)\"" }
        return text
    }
}
