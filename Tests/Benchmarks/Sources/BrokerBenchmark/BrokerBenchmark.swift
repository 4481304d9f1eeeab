import ArgumentParser
import CBaseline
import CServers

/// Measures sending and taking messages of 100 bytes: by the in-process broker, by a server that runs on this machine,
/// or by a file that is appended to and synced. Prints one line of JSON.
@main
struct BrokerBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "broker-benchmark")

    enum System: String, ExpressibleByArgument, CaseIterable { case floor, broker, redis, nats }

    @Option(help: "floor, broker, redis or nats.") var system = System.broker
    @Option(help: "Messages, a multiple of the batch.") var messages = 500_000
    @Option(help: "Messages that are sent at once, a multiple of the partitions.") var batch = 1000
    @Option(help: "Batches in flight; the floor has one.") var inFlight = 4
    @Option(help: "Partitions; message n of a batch goes to partition n modulo these.") var partitions = 1
    @Option(help: "The broker's nodes; each message is on all of them.") var nodes = 1
    @Option(help: "What the broker's sends wait for: all, leader or none.") var acks = "all"
    @Flag(help: "The broker's files are not synced; they lie in TMPDIR.") var unsynced = false
    @Option(help: "Microseconds added to each flush, but for a server's.") var delay: UInt32 = 0
    @Option(help: "The server's port on 127.0.0.1; it must be empty.") var port: Int32 = 0
    @Option(help: "An existing folder; DIRECTORY/broker and DIRECTORY/log must not exist.") var directory: String

    /// How long it took, in seconds.
    struct Times {
        var sending: Double
        /// Nil for what cannot be taken.
        var taking: Double?
        /// Of the sending; nil where another process syncs.
        var flushes: Int?
    }

    func validate() throws {
        guard partitions > 0, batch > 0, batch % partitions == 0, messages > 0, messages % batch == 0, inFlight > 0
        else { throw ValidationError("the messages must be a multiple of the batch, and that of the partitions") }
    }

    func run() async throws {
        let flushTime = baseline_flush_time(directory)
        baseline_delay_flushes(delay)
        let times = try await measure()
        guard times.sending > 0, times.taking ?? 1 > 0 else {
            throw ValidationError("\(system.rawValue) did not give the expected answers")
        }
        let taken = times.taking.map { "\(Int(Double(messages) / $0))" } ?? "null"
        print(
            """
            {"sent":\(Int(Double(messages) / times.sending)),"taken":\(taken),"flushes":\(times.flushes.map { "\($0)" } ?? "null"),\
            "batches":\(messages / batch),"flushMicroseconds":\(Int(flushTime))}
            """
        )
    }

    private func measure() async throws -> Times {
        let (count, size) = (Int32(partitions), Int32(batch))
        switch system {
        case .floor:
            let bytes = try InProcess.batch(of: self).byteCount
            return Times(sending: baseline_append(directory, bytes, messages / batch), flushes: messages / batch)
        case .broker:
            return try await InProcess(self).measure()
        case .redis:
            let sending = redis_send(port, messages, size, Int32(inFlight), count)
            return Times(sending: sending, taking: redis_take(port, messages, count))
        case .nats:
            let sending = nats_send(port, messages, size, Int32(inFlight), count)
            return Times(sending: sending, taking: nats_take(port, messages, count))
        }
    }
}
