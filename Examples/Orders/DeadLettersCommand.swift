import ArgumentParser
import Ratchet

/// `orders dead-letters`: what could not be processed, and why.
struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Print what could not be processed, one message a line.",
        discussion: """
            The fields, with tabs between them: when it was given up, where it was, why, the error, how often it was \
            delivered, and the beginning of its payload. Works while a run is in progress, too.
            """
    )
    private static let payloadLimit = 120

    @Option(help: "The state folder of the runs.")
    var state: String

    func run() async throws {
        try await Failure.reporting {
            guard let reader = try StateFolder.existing(state).openReader() else { return }
            defer { reader.close() }
            var output = LineWriter()
            var last: UInt64 = 0
            while case let letters = try reader.deadLetters(after: last, limit: 100), let newest = letters.last {
                for letter in letters { output.write(Self.line(letter)) }
                last = newest.id
            }
            output.flush()
        }
    }

    private static func line(_ letter: DeadLetter) -> String {
        // More bytes than are shown: a character takes four at the most.
        let payload = String(decoding: letter.payload.prefix(payloadLimit * 4 + 4), as: UTF8.self)
        return [
            Text.time(letter.time), "\(letter.partition)@\(letter.offset)", "\(letter.reason)",
            Text.oneLine("\(letter.errorType): \(letter.errorMessage)", limit: 300), "\(1 + letter.deliveryCount)",
            Text.oneLine(payload, limit: payloadLimit),
        ].joined(separator: "\t")
    }
}
