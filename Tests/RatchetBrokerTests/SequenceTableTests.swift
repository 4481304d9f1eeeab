import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

@Suite struct SequenceTableTests {
    @Test("What a partition knows of its producers can be told from its chunks alone")
    func derived() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 2)
        var producers: [Producer] = []
        for name in ["a", "b"] { producers.append(try await broker.producer(ProducerSettings(transactionalID: name))) }
        for round in 0..<12 {
            if round == 7 { producers[0] = try await broker.producer(ProducerSettings(transactionalID: "a")) }
            try await producers[round % 2].send((0...round).map { .text("\($0)", to: "t", partition: round / 2 % 2) })
        }
        let tables = broker.storage.tables
        let written = try rows(broker)
        #expect(written.count == 4)
        try await broker.storage.write { transaction in
            try transaction.withCursor(in: tables.sequences) { cursor in
                while try cursor.first() != nil { try cursor.delete() }
            }
            var chunks: [(UInt32, [UInt8])] = []
            try transaction.withCursor(in: tables.log) { cursor in
                var row = try cursor.first()
                while let (key, value) = row.map({ ($0.key, $0.value) }) {
                    if let key = LogKey(key) { chunks.append((key.uid, Array(value))) }
                    row = try cursor.next()
                }
            }
            for (uid, chunk) in chunks {
                try chunk.withUnsafeBytes { try SequenceTable.apply($0, uid, now: 5, in: transaction, tables) }
            }
        }
        let derived = try rows(broker)
        #expect(derived.map(\.key) == written.map(\.key))
        for (one, other) in zip(derived, written) {
            #expect(one.entry.epoch == other.entry.epoch && one.entry.batches == other.entry.batches)
            #expect(one.entry.lastUse == 5)
        }
        try await broker.close()
    }

    @Test("Where a log is cut, its producers are as they were when it ended there")
    func cut() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        let log = try #require(broker.catalog.log(of: TopicPartition("t", 0)))
        var producers: [Producer] = []
        for name in ["a", "b"] { producers.append(try await broker.producer(ProducerSettings(transactionalID: name))) }
        var states: [(end: Int64, rows: [ProducerSequences.Entry])] = []
        for round in 0..<16 {
            states.append((log.range.upperBound, try rows(broker).map(\.entry)))
            if round == 8 { producers[0] = try await broker.producer(ProducerSettings(transactionalID: "a")) }
            // The second one is silent for long: nothing of the first's last epoch is left where it is cut.
            try await producers[round % 3 == 1 ? 1 : 0].send(.text("\(round)", to: "t"))
        }
        let tables = broker.storage.tables
        for state in states.reversed() {
            try await broker.storage.write { transaction in
                _ = try LogKey(log.uid, state.end).withBytes { try transaction.delete($0, in: tables.log) }
                _ = try SequenceTable.cut(log.uid, at: state.end, in: transaction, tables)
            }
            let found = try rows(broker).map(\.entry)
            #expect(found.map(\.epoch) == state.rows.map(\.epoch))
            #expect(found.map(\.last) == state.rows.map(\.last))
            for (one, other) in zip(found, state.rows) {
                #expect(other.batches.suffix(one.batches.count) == one.batches[...])
            }
        }
        #expect(try rows(broker).isEmpty)
        try await broker.close()
    }

    private func rows(_ broker: Broker) throws -> [(key: LogKey, entry: ProducerSequences.Entry)] {
        let tables = broker.storage.tables
        return try broker.storage.read { transaction in
            var keys: [LogKey] = []
            try transaction.withCursor(in: tables.sequences) { cursor in
                var row = try cursor.first()
                while let key = row.flatMap({ LogKey($0.key) }) {
                    keys.append(key)
                    row = try cursor.next()
                }
            }
            return try keys.compactMap { key in
                try SequenceTable.read(key.uid, key.offset, in: transaction, tables).map { (key, $0) }
            }
        }
    }
}
