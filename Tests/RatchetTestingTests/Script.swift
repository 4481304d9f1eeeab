import Ratchet
import RatchetTesting

/// A history told by hand: one partition of a log or more, one producer, events ten nanoseconds apart.
struct Script {
    private(set) var history: History
    let partition: PartitionID
    private let producer: ProducerID
    private var time: Int64 = 0

    init(kind: PartitionKind = .log, maximumEvents: Int = 1_000) throws {
        history = History(maximumEvents: maximumEvents)
        partition = try history.partition(TopicPartition("orders", 0), kind: kind)
        producer = history.producer("shop")
    }

    mutating func add(_ event: History.Event) {
        time += 10
        history.append(event, at: time)
    }

    mutating func wait(_ nanoseconds: Int64) { time += nanoseconds }

    /// Another partition of the topic.
    mutating func partition(_ number: Int) throws -> PartitionID {
        try history.partition(TopicPartition("orders", number))
    }

    mutating func message(_ name: String) -> MessageID { history.message(name) }

    /// Sends a message that the log then holds at `offset`.
    mutating func send(_ name: String, at offset: Int64) {
        let message = history.message(name)
        add(.sending(message, by: producer))
        add(.appended(message, partition, offset: offset))
        add(.sentOK(message, partition, offset: offset))
    }

    /// Begins to send, and no more is known.
    mutating func beginSending(_ name: String) { add(.sending(history.message(name), by: producer)) }

    mutating func deliver(_ name: String, at offset: Int64, generation: Int64 = 1) {
        add(.delivered(history.message(name), partition, offset: offset, generation: generation))
    }

    mutating func effect(_ name: String, at offset: Int64, generation: Int64 = 1) {
        add(.effect(history.message(name), partition, offset: offset, generation: generation))
    }

    /// A handler begins, all of them with one ordered key.
    mutating func start(_ name: String, at offset: Int64, generation: Int64) {
        let (message, key) = (history.message(name), history.key("key", in: partition))
        add(.started(message, partition, offset: offset, generation: generation, key: key))
    }

    mutating func fail(_ name: String, at offset: Int64, generation: Int64) {
        let (message, key) = (history.message(name), history.key("key", in: partition))
        add(.failed(message, partition, offset: offset, generation: generation, key: key))
    }

    mutating func commit(_ offset: Int64, generation: Int64 = 1) {
        add(.committed(partition, offset: offset, generation: generation))
    }

    func check(_ window: HistoryChecker.Window = .init(), limit: Int = 100) -> HistoryReport {
        HistoryChecker.check(history, window: window, limit: limit)
    }
}
