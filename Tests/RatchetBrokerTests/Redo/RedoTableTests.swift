import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

@Suite("What is decided, on the disk")
struct RedoTableTests {
    private static let key = RedoKey(3, 0)

    /// A row as ``RedoTable`` describes it.
    private static func row(uid: UInt32, count: UInt32, first: Int32, owner: Int64, text: String) throws -> [UInt8] {
        let batch = try OutgoingBatch([.text(text, to: "t", partition: 0)])
        var row: [UInt8] = []
        row.appendLittleEndian(uid)
        row.appendLittleEndian(count)
        row.appendLittleEndian(first)
        row.appendLittleEndian(UInt32(0))
        row.appendLittleEndian(Int64(1))
        row.appendLittleEndian(owner)
        return row + batch.bytes
    }

    /// Leaves a row in the broker's directory, and opens it again.
    private static func opened(_ directory: TemporaryDirectory, _ row: (_ uid: UInt32) throws -> [UInt8]) async throws
        -> Broker
    {
        let broker = try await Broker(at: directory.broker, configuration: .unsynced)
        try await broker.createTopic("t", replicationFactor: 3, minInSyncReplicas: 2)
        let (tables, uid) = (broker.storage.tables, try #require(broker.catalog["t"]?.logs[0].uid))
        let value = try row(uid)
        try await broker.storage.write { try $0.putSealed(value, for: Self.key.bytes, in: tables.redo) }
        try await broker.close()
        return try await Broker(at: directory.broker, configuration: .unsynced)
    }

    @Test("What a crash has left is in the log when the broker is open, and the row is gone")
    func left() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory) {
            try Self.row(uid: $0, count: 1, first: 0, owner: -1, text: "left")
        }
        #expect(try await broker.texts(TopicPartition("t", 0)) == ["left"])
        try await broker.close()
        #expect(try await Broker.redoRows(at: directory.broker) == 0)
    }

    @Test("What belongs to a topic that was deleted goes at the next opening")
    func gone() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory) {
            try Self.row(uid: $0 + 9, count: 1, first: 0, owner: -1, text: "gone")
        }
        #expect(try await broker.texts(TopicPartition("t", 0)).isEmpty)
        try await broker.close()
        #expect(try await Broker.redoRows(at: directory.broker) == 0)
    }

    @Test("A row that is none is reported, and the broker stays closed", arguments: 0..<7)
    func damaged(number: Int) async throws {
        let directory = try TemporaryDirectory()
        let error = await #expect(throws: BrokerError.self) {
            _ = try await Self.opened(directory) { uid in
                switch number {
                case 0: try Self.row(uid: uid, count: 0, first: 0, owner: -1, text: "x")
                case 1: try Self.row(uid: uid, count: .max, first: 0, owner: -1, text: "x")
                case 2: try Self.row(uid: uid, count: 1, first: .max, owner: -1, text: "x")
                case 3: try Self.row(uid: uid, count: 1, first: 0, owner: -2, text: "x")
                case 4: try Self.row(uid: uid, count: 2, first: 0, owner: -1, text: "x")
                case 5: try Self.row(uid: uid, count: 1, first: 0, owner: -1, text: "xy").dropLast()
                default: Array(try Self.row(uid: uid, count: 1, first: 0, owner: -1, text: "x").prefix(32))
                }
            }
        }
        #expect(error?.code == .corrupted)
    }

    @Test("Keys lie in the order of their numbers, and other bytes are none")
    func keys() {
        let keys = [RedoKey(0, 0), RedoKey(0, 300), RedoKey(1, 2), RedoKey(256, 0)]
        for (a, b) in zip(keys, keys.dropFirst()) { #expect(a < b && a.bytes.lexicographicallyPrecedes(b.bytes)) }
        for key in keys { #expect(key.bytes.withUnsafeBytes { RedoKey($0) } == key) }
        #expect([UInt8](repeating: 0, count: 11).withUnsafeBytes { RedoKey($0) } == nil)
    }
}
