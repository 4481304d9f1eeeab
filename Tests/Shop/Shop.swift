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

/// A program that is killed, for `BrokerKillTests` and `Tests/crash`: an idempotent producer, a consumer that passes orders
/// on in transactions, and consumers of a queue, all at once on one broker, over and over again. It writes down what it is
/// told, and believes nothing that its last life did not write down.
///
///     shop FOLDER NODES           sends and works until it is killed; the broker has so many nodes
///     shop FOLDER NODES once      sends less, works, and ends when all is done
///     shop FOLDER NODES finish    sends nothing more, does what is left, and ends
///     shop FOLDER NODES verify    looks at what there is after all that, and prints what is wrong and how much of it
@main
enum Shop {
    /// How many of each kind of message one life sends.
    private static let perLife = 150
    private static let perRun = 40

    static func main() async {
        let words = Array(CommandLine.arguments.dropFirst())
        do {
            guard 2...3 ~= words.count, let nodes = Int(words[1]), 1...9 ~= nodes,
                words.count == 2 || ["once", "finish", "verify"].contains(words[2])
            else { throw Problem("it is called in another way, see Tests/Shop/Shop.swift: \(words)") }
            let mode = words.count == 3 ? words[2] : nil
            if mode == "verify" {
                let verification = Verification(folder: words[0], configuration: configuration(nodes))
                return print(try await verification.verdict())
            }
            let books = try Books(words[0] + "/books")
            let broker = try await Broker(at: words[0] + "/broker", configuration: configuration(nodes))
            try await createTopics(broker, nodes)
            switch mode {
            case nil: try await live(broker, books)
            case "once": try await once(broker, books)
            default: try await finish(broker, books)
            }
            try await broker.close()
        } catch {
            "shop: \(error)\n".withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
            exit(1)
        }
    }

    private static func configuration(_ nodes: Int) -> Broker.Configuration {
        var configuration = Broker.Configuration()
        configuration.nodes = nodes
        configuration.logger = Logger(label: "shop") { _ in SwiftLogNoOpLogHandler() }
        // Each seventh answer is lost: what it was for is sent again.
        let requests = Mutex(0)
        configuration.producerFault = {
            let number = requests.withLock { count in
                count += 1
                return count
            }
            return number % 7 == 0 ? .answerLost : nil
        }
        return configuration
    }

    private static func createTopics(_ broker: Broker, _ nodes: Int) async throws {
        let partitions = ["plain": 2, "orders": 1, "receipts": 1, "journal": 1, "jobs": 1, "dead": 1]
        for (topic, count) in partitions.sorted(by: { $0.key < $1.key }) {
            try await broker.createTopic(
                topic,
                partitions: count,
                replicationFactor: nodes,
                minInSyncReplicas: min(nodes, 2)
            )
        }
    }

    /// Has the broker look for timeouts and for followers that lag, while all of these work.
    private static func together(_ broker: Broker, _ works: [@Sendable () async throws -> Void]) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await broker.run()
                return false
            }
            for work in works {
                group.addTask {
                    try await work()
                    return true
                }
            }
            var left = works.count
            while left > 0, let isWork = try await group.next() { left -= isWork ? 1 : 0 }
            group.cancelAll()
        }
    }

    private static func live(_ broker: Broker, _ books: Books) async throws {
        let (sender, biller) = (try await Sender(broker, books), try await Biller(broker, books))
        let crew = Crew(broker, books)
        try await together(
            broker,
            [
                { try await sender.send(perLife) }, { try await biller.work(until: .max) },
                { try await crew.work() }, { try await crew.work() },
            ]
        )
    }

    private static func once(_ broker: Broker, _ books: Books) async throws {
        let (sender, biller) = (try await Sender(broker, books), try await Biller(broker, books))
        let crew = Crew(broker, books)
        let orders = try broker.logEnds(of: "orders").values.reduce(Int64(perRun), +)
        try await together(
            broker,
            [
                {
                    try await sender.send(perRun)
                    try await end(broker)
                },
                { try await biller.work(until: orders) }, { try await crew.work() },
            ]
        )
    }

    private static func finish(_ broker: Broker, _ books: Books) async throws {
        try books.note("finish", "\(getpid())")
        let (biller, crew) = (try await Biller(broker, books), Crew(broker, books))
        let orders = try broker.logEnds(of: "orders").values.reduce(0, +)
        try await end(broker)
        try await together(broker, [{ try await biller.work(until: orders) }, { try await crew.work() }])
    }

    /// Tells the crew that nothing more comes.
    private static func end(_ broker: Broker) async throws {
        try await broker.send(OutgoingMessage(to: "jobs", payload: Array(Crew.end.utf8)))
    }
}

/// What was wrong.
struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A file that others read: once a line is written they have it, whatever becomes of this process.
struct Books: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        guard descriptor >= 0 else { throw Problem("\(path) cannot be opened: \(errno)") }
    }

    /// One line, by one call.
    func note(_ words: String...) throws {
        let line = words.joined(separator: " ") + "\n"
        let written = line.withCString { write(descriptor, $0, strlen($0)) }
        guard written == line.utf8.count else { throw Problem("'\(line)' cannot be written: \(errno)") }
    }
}
