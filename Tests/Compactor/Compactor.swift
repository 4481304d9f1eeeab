import Dispatch
import Logging
import Ratchet
import RatchetBroker
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Sends to a compacted topic, compacts it, and dies by `kill -9` between two transactions of that: a process of its own
/// for the tests.
///
///     compactor DIRECTORY NODES TURN
///
/// Opens the broker in DIRECTORY with NODES nodes, appends ``rounds`` messages of each of ``keys`` keys to the topic
/// `table`, each with the number of its round, and compacts it; dies before the writers' TURN-th turn of the compaction,
/// from 1 on. Where there are less, it prints how many there were.
@main
struct Compactor {
    static let keys = 20
    static let rounds = 5

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let nodes = Int(arguments[2]), let turn = Int(arguments[3]) else {
            fatalError("compactor DIRECTORY NODES TURN")
        }
        let writer = DoomedWriter(turn: turn)
        var configuration = Broker.Configuration()
        configuration.logger = Logger(label: "compactor") { _ in SwiftLogNoOpLogHandler() }
        configuration.nodes = nodes
        // Room for some keys only: a log is gone over many times.
        configuration.compactionMemory = 1000
        configuration.writerTurns = writer.ask
        let broker = try await Broker(at: arguments[1], configuration: configuration)
        try await broker.createTopic(
            "table",
            replicationFactor: nodes,
            minInSyncReplicas: min(nodes, 2),
            cleanup: .compact
        )
        let table = TopicPartition("table", 0)
        let sent = Int(try broker.logEnds(of: "table")[table] ?? 0)
        for number in sent..<sent + keys * rounds {
            let (round, key) = number.quotientAndRemainder(dividingBy: keys)
            try await broker.send(OutgoingMessage(to: "table", key: "k\(key)", payload: Array("\(round)".utf8)))
        }
        writer.begin()
        try await broker.compact("table")
        print(writer.turns)
        try await broker.close()
    }
}

/// Gives the broker's writers their turns, on one thread, until the last one.
private final class DoomedWriter: Sendable {
    private let last: Int
    private let waiting = Mutex<[@Sendable () -> Void]>([])
    private let isAsked = DispatchSemaphore(value: 0)
    private let count = Mutex<Int?>(nil)

    init(turn: Int) {
        last = turn
        // One block that never ends, so all turns are on one thread.
        DispatchQueue(label: "writer").async { [self] in
            while true {
                isAsked.wait()
                waiting.withLock { $0.removeFirst() }()
                die()
            }
        }
    }

    var ask: @Sendable (@escaping @Sendable () -> Void) -> Void {
        { turn in
            self.waiting.withLock { $0.append(turn) }
            self.isAsked.signal()
        }
    }

    /// From here on turns count.
    func begin() { count.withLock { $0 = 0 } }

    var turns: Int { count.withLock { $0 ?? 0 } }

    private func die() {
        let isLast = count.withLock { count -> Bool in
            count? += 1
            return count == last
        }
        if isLast { kill(getpid(), SIGKILL) }
    }
}
