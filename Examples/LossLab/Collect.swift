import ArgumentParser
import Ratchet
import RatchetTesting

/// `loss-lab collect`: writes effects to a file, as a process that none of those under test can take with it.
struct Collect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write effects to a file: those whose ids come by standard input, or those in a ledger.",
        discussion: "The lab starts it by itself, once for each side of an experiment."
    )

    @Argument(help: "The file to append to.")
    var file: String

    @Option(help: "Read the effects from this ledger instead.")
    var ledger: String?

    func run() async throws {
        var effects = EffectWriter(file: try EffectFile(appendingTo: file))
        guard let ledger else {
            while let id = readLine() { try effects.append(id) }
            return
        }
        let opened = try Ledger(at: ledger, configuration: Lab.ledgerConfiguration)
        try opened.reader.forEach(in: Lab.effects) { id, count in
            for _ in 0..<count { try effects.append(id) }
        }
        await opened.close()
    }
}

private struct EffectWriter {
    let file: EffectFile
    private var count: Int64 = 0

    init(file: EffectFile) { self.file = file }

    mutating func append(_ id: String) throws {
        let partition = TopicPartition(Lab.topic, 0)
        let time = TimeSource.system.monotonic()
        try file.append(.init(id: id, partition: partition, offset: count, generation: 1, time: time))
        count += 1
    }
}
