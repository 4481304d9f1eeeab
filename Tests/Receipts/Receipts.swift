import Logging
import Ratchet
import RatchetBroker

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A consumer of what the example `orders` publishes, for `Tests/crash`: a process of its own, which believes nothing that
/// the example says.
///
///     receipts collect STATE EFFECTS    appends what has come since to the file EFFECTS; what it has seen must still be so
///     receipts verify STATE EFFECTS     the same, and then each purchase must have its one receipt; prints the counts
@main
enum Receipts {
    static func main() async {
        let words = Array(CommandLine.arguments.dropFirst())
        do {
            guard words.count == 3, ["collect", "verify"].contains(words[0]) else {
                throw Problem("it is called in another way, see Tests/Receipts/Receipts.swift: \(words)")
            }
            let folder = words[1] + "/broker"
            // Killed before it came so far, it has published nothing.
            let isThere = FileManager.default.fileExists(atPath: folder)
            guard isThere || words[0] == "verify" else { return }
            let broker = try await Broker(at: folder, configuration: configuration)
            var collected = try Collected(path: words[2])
            try await collected.read(broker)
            if words[0] == "verify" { print(try await Verdict(collected, of: broker)) }
            try await broker.close()
        } catch {
            "receipts: \(error)\n".withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
            exit(1)
        }
    }

    private static var configuration: Broker.Configuration {
        var configuration = Broker.Configuration()
        configuration.logger = Logger(label: "receipts") { _ in SwiftLogNoOpLogHandler() }
        return configuration
    }
}

/// What was wrong.
struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension Broker {
    /// All messages of a topic, in batches; none of one that is not there yet.
    func forEachBatch(of topic: String, _ body: (MessageBatch) throws -> Void) async throws {
        guard topics().contains(topic) else { return }
        for partition in try describe(topic).partitions {
            for try await batch in try read(partition.partition) { try body(batch) }
        }
    }
}
