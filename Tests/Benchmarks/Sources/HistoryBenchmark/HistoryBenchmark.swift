import ArgumentParser
import Ratchet
import RatchetTesting

/// Measures how fast a recorded history is checked: many partitions at once, with every kind of event, in random turns.
@main
struct HistoryBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "history-benchmark")

    @Option(help: "Events of the history.") var events = 3_000_000
    @Option(help: "Partitions.") var partitions = 16
    @Option(help: "How often the history is checked; the median is printed.") var rounds = 5

    func validate() throws {
        guard events >= 1, partitions >= 1, rounds >= 1 else { throw ValidationError("each number must be 1 or more") }
    }

    func run() throws {
        var made = try MadeHistory(partitions: partitions)
        while made.history.events.count < events { made.step() }
        let history = made.history
        let clock = ContinuousClock()
        var seconds: [Double] = []
        for _ in 0..<rounds {
            var report: HistoryReport?
            let time = clock.measure { report = HistoryChecker.check(history, window: .init(count: 1_000_000)) }
            guard let report, report.isSound else { throw ExitCode(1) }
            seconds.append(time / .seconds(1))
        }
        let median = seconds.sorted()[rounds / 2]
        print("| events | messages | seconds, median of \(rounds) | least to most | events/s |\n|---|---|---|---|---|")
        let range = "\(Self.round(seconds.min() ?? 0)) to \(Self.round(seconds.max() ?? 0))"
        let rate = Int(Double(history.events.count) / median)
        print("| \(history.events.count) | \(history.messageCount) | \(Self.round(median)) | \(range) | \(rate) |")
    }

    private static func round(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}

/// A sound run of a consumer group: every message goes through sending, log, handler, effect and commit, and every
/// fiftieth is sent twice and skipped the second time.
private struct MadeHistory {
    private struct Partition {
        let id: PartitionID
        let producer: ProducerID
        let keys: [OrderedKeyID]
        var log: [MessageID] = []
        var delivered = 0
        var done = 0
    }

    private(set) var history = History()
    private var partitions: [Partition] = []
    private var isSettled: Set<MessageID> = []
    private var state: UInt64 = 1
    private var time: Int64 = 0

    init(partitions count: Int) throws {
        for index in 0..<count {
            let id = try history.partition(TopicPartition("orders", index))
            let keys = (0..<1_000).map { history.key("customer-\($0)", in: id) }
            partitions.append(Partition(id: id, producer: history.producer("shop-\(index)"), keys: keys))
            add(.assigned(id, generation: 1, from: 0))
        }
    }

    /// A SplitMix64: the same history each time.
    private mutating func random(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
    }

    private mutating func add(_ event: History.Event) {
        time += 100
        history.append(event, at: time)
    }

    mutating func step() {
        let at = random(partitions.count)
        switch random(3) {
        case 0: for _ in 0..<random(64) + 1 { send(at) }
        case 1: deliver(at)
        default: work(at)
        }
    }

    private mutating func send(_ at: Int) {
        let (id, offset) = (partitions[at].id, Int64(partitions[at].log.count))
        let isRepeat = offset > 0 && random(50) == 0
        let message =
            isRepeat ? partitions[at].log[random(Int(offset))] : history.message("order-\(history.messageCount)")
        add(.sending(message, by: partitions[at].producer))
        add(.appended(message, id, offset: offset))
        add(.sentOK(message, id, offset: offset))
        partitions[at].log.append(message)
    }

    private mutating func deliver(_ at: Int) {
        let count = min(random(64) + 1, partitions[at].log.count - partitions[at].delivered)
        for offset in partitions[at].delivered..<partitions[at].delivered + count {
            add(.delivered(partitions[at].log[offset], partitions[at].id, offset: Int64(offset), generation: 1))
        }
        partitions[at].delivered += count
    }

    private mutating func work(_ at: Int) {
        let partition = partitions[at]
        for position in partition.done..<partition.delivered {
            let (message, offset) = (partition.log[position], Int64(position))
            guard isSettled.insert(message).inserted else {
                add(.skipped(message, partition.id, offset: offset, generation: 1))
                continue
            }
            let key = partition.keys[random(partition.keys.count)]
            add(.started(message, partition.id, offset: offset, generation: 1, key: key))
            add(.effect(message, partition.id, offset: offset, generation: 1))
            add(.finished(message, partition.id, offset: offset, generation: 1, key: key))
        }
        partitions[at].done = partition.delivered
        add(.committed(partition.id, offset: Int64(partition.delivered), generation: 1))
    }
}
