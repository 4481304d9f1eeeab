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

/// A program that is killed, for `BrokerKillTests`: an idempotent producer, a consumer that passes orders on in
/// transactions, and two consumers of a queue, all at once on one broker, over and over again. It writes down what it is
/// told, and believes nothing that its last life did not write down.
///
///     shop FOLDER          sends and works until it is killed
///     shop FOLDER finish   sends nothing more, does what is left, and ends
@main
enum Shop {
    /// How many of each kind of message one life sends.
    private static let perLife = 150

    static func main() async {
        let words = Array(CommandLine.arguments.dropFirst())
        do {
            guard 1...2 ~= words.count, words.count == 1 || words[1] == "finish" else {
                throw Problem("it is called in another way, see Tests/Shop/Shop.swift: \(words)")
            }
            let books = try Books(words[0] + "/books")
            let broker = try await Broker(at: words[0] + "/broker", configuration: configuration)
            try await createTopics(broker)
            if words.count == 2 { try await finish(broker, books) } else { try await live(broker, books) }
            try await broker.close()
        } catch {
            "shop: \(error)\n".withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
            exit(1)
        }
    }

    private static var configuration: Broker.Configuration {
        var configuration = Broker.Configuration()
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

    private static func createTopics(_ broker: Broker) async throws {
        try await broker.createTopic("plain", partitions: 2)
        for topic in ["orders", "receipts", "journal", "jobs", "dead"] { try await broker.createTopic(topic) }
    }

    private static func live(_ broker: Broker, _ books: Books) async throws {
        let sender = try await Sender(broker, books)
        let biller = try await Biller(broker, books)
        let crew = Crew(broker, books)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await sender.send(perLife) }
            group.addTask { try await biller.work(until: .max) }
            for _ in 0..<2 { group.addTask { try await crew.work() } }
            try await group.waitForAll()
        }
    }

    private static func finish(_ broker: Broker, _ books: Books) async throws {
        try await Biller(broker, books).work(until: broker.logEnds(of: "orders").values.reduce(0, +))
        try await broker.send(OutgoingMessage(to: "jobs", payload: Array(Crew.end.utf8)))
        try await Crew(broker, books).work()
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
