import ArgumentParser
import CBaseline
import Logging
import Ratchet

/// Measures the ledger's deduplication against C: interleaved rounds, medians, ratios.
@main
struct LedgerBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ledger-benchmark")

    @Option(help: "Ids a round.") var ids = 500_000
    @Option(help: "Ids that are there before, a multiple of the batch; the rest is timed.") var window = 1_000_000
    @Option(help: "Ids a batch: one durable commit each.") var batch = 1000
    @Option(help: "Rounds; the medians are printed.") var rounds = 5
    @Option(help: "Microseconds added to each flush.") var delay: UInt32 = 0
    @Flag(help: "Leave the tree of random keys out: it is slow.") var withoutTree = false
    @Option(help: "An existing folder to work in.") var directory: String

    enum Kind: String, CaseIterable {
        case floor = "append + fdatasync"
        case loop = "C, the same layout"
        case one = "ledger, 1 batch in flight"
        case two = "ledger, 2 batches in flight"
        case tree = "C, random keys in a tree"
    }

    func run() async throws {
        print(
            "ids \(ids) on top of \(window), batch \(batch), rounds \(rounds), a flush takes \(Int(baseline_flush_time(directory))) µs, \(delay) µs added"
        )
        baseline_delay_flushes(delay)
        var seconds: [Kind: [Double]] = [:]
        var flushes: [Kind: Int] = [:]
        for round in 0..<rounds {
            let bytes = Self.ids(window + ids, seed: UInt64(round) + 1)
            for kind in Kind.allCases where kind != .tree || !withoutTree {
                let folder = "\(directory)/\(kind)-\(round)"
                let before = baseline_flushes()
                let time = try await measure(kind, bytes, folder)
                flushes[kind] = Int(baseline_flushes() - before)
                guard time > 0 else { throw ExitCode(1) }
                seconds[kind, default: []].append(time)
                Files.remove(folder)
            }
        }
        report(seconds, flushes)
    }

    private func report(_ seconds: [Kind: [Double]], _ flushes: [Kind: Int]) {
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        print("| what | ids/s | of the C loop | flushes |\n|---|---|---|---|")
        guard let loop = seconds[.loop] else { return }
        for kind in Kind.allCases {
            guard let times = seconds[kind] else { continue }
            let ratio = median(zip(loop, times).map { $0 / $1 })
            let rounded = Double(Int(ratio * 1000)) / 1000
            print("| \(kind.rawValue) | \(Int(Double(ids) / median(times))) | \(rounded) | \(flushes[kind] ?? 0) |")
        }
    }

    private func measure(_ kind: Kind, _ bytes: [UInt8], _ folder: String) async throws -> Double {
        switch kind {
        case .one: return try await ledger(bytes, folder, inFlight: 1)
        case .two: return try await ledger(bytes, folder, inFlight: 2)
        default:
            Files.make(folder)
            return bytes.withUnsafeBytes { bytes in
                let base = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
                switch kind {
                case .floor: return baseline_floor(folder, base, ids, batch)
                case .loop: return baseline_journal(folder, base, window, window + ids, batch)
                default: return baseline_random_keys(folder, base, window, window + ids, batch)
                }
            }
        }
    }

    private func ledger(_ bytes: [UInt8], _ folder: String, inFlight: Int) async throws -> Double {
        var configuration = Ledger.Configuration()
        configuration.logger.logLevel = .error
        configuration.isDurable = false
        try await remember(bytes, 0..<window, Ledger(at: folder, configuration: configuration), inFlight)
        configuration.isDurable = true
        baseline_flush(folder)
        return try await remember(
            bytes,
            window..<window + ids,
            Ledger(at: folder, configuration: configuration),
            inFlight
        )
    }

    /// Returns how long it took, in seconds, the ledger's closing apart.
    @discardableResult
    private func remember(_ bytes: [UInt8], _ range: Range<Int>, _ ledger: Ledger, _ inFlight: Int) async throws
        -> Double
    {
        let clock = ContinuousClock()
        let start = clock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            var running = 0
            for first in stride(from: range.lowerBound, to: range.upperBound, by: batch) {
                if running == inFlight { try await group.next() } else { running += 1 }
                var keys = KeyBatch(reserving: batch)
                try bytes.withUnsafeBytes { bytes in
                    for id in first..<min(first + batch, range.upperBound) {
                        try keys.append(UnsafeRawBufferPointer(rebasing: bytes[id * 16..<id * 16 + 16]))
                    }
                }
                let packed = keys
                group.addTask {
                    guard try await ledger.remember(packed).allSatisfy({ $0 }) else { throw ExitCode(1) }
                }
            }
            try await group.waitForAll()
        }
        let seconds = Double((clock.now - start) / .microseconds(1)) / 1e6
        await ledger.close()
        return seconds
    }

    /// Random ids of 16 bytes, by SplitMix64.
    private static func ids(_ count: Int, seed: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count * 16)
        var state = seed &* 0x9E37_79B9_7F4A_7C15
        bytes.withUnsafeMutableBytes { bytes in
            for word in 0..<count * 2 {
                state &+= 0x9E37_79B9_7F4A_7C15
                var z = state
                z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
                z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
                bytes.storeBytes(of: z ^ (z >> 31), toByteOffset: word * 8, as: UInt64.self)
            }
        }
        return bytes
    }
}
