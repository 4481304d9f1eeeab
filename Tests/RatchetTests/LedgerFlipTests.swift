import CFaults
import LMDB
import Seeds
import Testing

@testable import Ratchet

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

#if os(Linux)
    @Suite("Ledger: flipped bits")
    struct LedgerFlipTests {
        @Test(
            "A bit that flips in a record, a position, an outbox entry or a dead letter is found, or harmless",
            arguments: Seed.some(1)
        )
        func guardedRows(seed: Seed) async throws {
            let scratch = try ScratchFolder()
            try await FlippedLedger.make(in: scratch)
            await #expect(processExitsWith: .success) { [path = scratch.path as String, seed = seed.value as UInt64] in
                let ledger = try FlippedLedger(in: path)
                let places = try ledger.guardedBytes()
                try #require(places.count > 2000)
                var random = SeededRandom(state: seed)
                var found = 0
                for _ in 0..<300 {
                    let (place, bit) = (places[random.below(places.count)], random.below(8))
                    let outcome = try ledger.outcome(flippingBit: bit, of: place)
                    #expect(outcome == .same || outcome == .error, "bit \(bit) of byte \(place); RATCHET_SEED=\(seed)")
                    if outcome == .error { found += 1 }
                }
                #expect(found > 100, "RATCHET_SEED=\(seed)")
            }
        }
    }

    /// A small ledger's file, in which one bit at a time is another.
    private struct FlippedLedger {
        enum Outcome: Equatable {
            /// It serves what it did before, or says that it cannot.
            case same, error
            /// It serves something else, or the process died.
            case other, died(Int32)
        }

        private struct Refused: Error {}

        private let path: String
        private let bytes: [UInt8]
        private let content: [String]

        /// Settles messages of two partitions, with dead letters and published ones among them.
        static func make(in scratch: ScratchFolder) async throws {
            let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
            let handler = ScriptedHandler { entry, transaction in
                if entry.offset % 10 == 9 { throw Refused() }
                if entry.offset % 5 == 0 { try transaction.publish(entry.offset, to: "receipts", key: "a key") }
            } decision: { _, _ in
                .deadLetter
            }
            for partition in 0..<2 {
                let driver = try await SettlementDriver(ledger, partition: partition)
                for start in [0, 10, 20] as [Int64] {
                    let samples = (start..<start + 10).map { SampleMessage($0, id: "\(partition)-\($0)", "text \($0)") }
                    try await driver.settle(samples, with: handler)
                }
            }
            await ledger.close()
        }

        init(in scratch: String) throws {
            path = scratch + "/ledger"
            bytes = [UInt8](try Data(contentsOf: URL(filePath: path + "/data.mdb")))
            content = try Self.content(of: path)
        }

        private static func open(_ path: String) throws -> Ledger {
            var configuration = Ledger.Configuration.quick
            // No thread: it would not be there after a fork.
            configuration.writerTurns = { _ in }
            return try Ledger(at: path, configuration: configuration)
        }

        /// All that a ledger serves from rows that have a checksum.
        private static func content(of path: String) throws -> [String] {
            let ledger = try open(path)
            defer { ledger.abandon() }
            let items = try ledger.outbox.scan(from: 0, messages: 1000)
            let messages = try ledger.outbox.read(items)
            let known = try (0..<60).map { number in
                let key = try IdempotencyKey("\(number / 30)-\(number % 30)")
                return ledger.journal.candidates(key.stored.withUnsafeBytes { ledger.journal.fingerprint($0) })
            }
            let positions = try ledger.environment.write { transaction in
                try (0..<2).map { number in
                    let position = try ledger.store.position(SettlementDriver.key(number), in: transaction)
                    return "\(position.isKnown) \(position.tracker) \(position.generation)"
                }
            }
            let letters = try ledger.reader.deadLetters()
            return ["\(items)", "\(messages.topics) \(messages.bytes)", "\(known)", "\(positions)", "\(letters)"]
        }

        /// Where in the file the rows that have a checksum lie.
        func guardedBytes() throws -> [Int] {
            let ledger = try Self.open(path)
            defer { ledger.abandon() }
            let tables = ledger.store.tables
            let rows = try ledger.environment.read { transaction in
                var rows: [[UInt8]] = []
                for table in [tables.journal, tables.positions, tables.outbox, tables.deadLetters] {
                    try transaction.withCursor(in: table) { cursor in
                        var row = try cursor.first()
                        while let found = row {
                            rows.append(Array(found.value))
                            row = try cursor.next()
                        }
                    }
                }
                return rows
            }
            return rows.flatMap { row in bytes.firstRange(of: row).map(Array.init) ?? [] }
        }

        /// What a process of its own makes of it.
        func outcome(flippingBit bit: Int, of place: Int) throws -> Outcome {
            var flipped = bytes
            flipped[place] ^= 1 << bit
            try? FileManager.default.removeItem(atPath: path + "/lock.mdb")
            try Data(flipped).write(to: URL(filePath: path + "/data.mdb"))
            let child = faults_fork()
            if child == 0 {
                do { faults_exit(try Self.content(of: path) == content ? 0 : 2) } catch { faults_exit(1) }
            }
            return switch faults_wait(child) {
            case 0: .same
            case 1: .error
            case 2: .other
            case let code: .died(code)
            }
        }
    }
#endif
