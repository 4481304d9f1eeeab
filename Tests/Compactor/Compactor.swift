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
///     compactor DIRECTORY NODES verify LIVES
///
/// Opens the broker in DIRECTORY with NODES nodes, appends ``rounds`` messages of each of ``keys`` keys to the topic
/// `table`, each with the number of its round, and compacts it; dies before the writers' TURN-th turn of the compaction,
/// from 1 on, or never if that is 0. Where there are less, it prints how many there were. `verify` looks at what there is
/// after so many lives, each of which has come as far as the compaction; see ``Inspection``.
@main
struct Compactor {
    static let keys = 20
    static let rounds = 5
    static let table = TopicPartition("table", 0)

    static func main() async {
        let words = Array(CommandLine.arguments.dropFirst())
        do {
            guard words.count >= 3, let nodes = Int(words[1]) else { throw Problem("\(words)") }
            if words.count == 4, words[2] == "verify", let lives = Int(words[3]) {
                let broker = try await Broker(at: words[0], configuration: configuration(nodes))
                print(try await Inspection(of: broker, lives: lives))
                try await broker.close()
            } else if words.count == 3, let turn = Int(words[2]) {
                try await compact(words[0], nodes, turn)
            } else {
                throw Problem("\(words)")
            }
        } catch {
            "compactor: \(error)\n".withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
            exit(1)
        }
    }

    private static func configuration(_ nodes: Int) -> Broker.Configuration {
        var configuration = Broker.Configuration()
        configuration.logger = Logger(label: "compactor") { _ in SwiftLogNoOpLogHandler() }
        configuration.nodes = nodes
        // Room for some keys only: a log is gone over many times.
        configuration.compactionMemory = 1000
        return configuration
    }

    private static func compact(_ path: String, _ nodes: Int, _ turn: Int) async throws {
        let writer = DoomedWriter(turn: turn)
        var configuration = configuration(nodes)
        configuration.writerTurns = writer.ask
        let broker = try await Broker(at: path, configuration: configuration)
        try await broker.createTopic(
            "table",
            replicationFactor: nodes,
            minInSyncReplicas: min(nodes, 2),
            cleanup: .compact
        )
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

/// What was wrong.
struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
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
