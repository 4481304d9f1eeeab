import LMDB
import Seeds

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The rows of an environment that is closed, to be damaged and put back.
struct StoredRows {
    struct Row: Equatable {
        var table: String
        var keys: KeyOrder
        var key: [UInt8]
        var value: [UInt8]
    }

    let path: String
    let rows: [Row]
    private let tables: [(name: String, keys: KeyOrder)]

    /// Reads all rows of these tables.
    init(at path: String, _ tables: [(name: String, keys: KeyOrder)]) throws {
        self.path = path
        self.tables = tables
        rows = try Self.withEnvironment(at: path) { environment in
            try environment.write { transaction in
                var rows: [Row] = []
                for (name, keys) in tables {
                    let table = try transaction.table(name, keys: keys, create: false)
                    try transaction.withCursor(in: table) { cursor in
                        var next = try cursor.first()
                        while let row = next {
                            rows.append(Row(table: name, keys: keys, key: Array(row.key), value: Array(row.value)))
                            next = try cursor.next()
                        }
                    }
                }
                return rows
            }
        }
    }

    /// Makes these the rows of all tables.
    func write(_ rows: [Row]) throws {
        try Self.withEnvironment(at: path) { environment in
            try environment.write { transaction in
                for (name, keys) in tables {
                    try transaction.clear(try transaction.table(name, keys: keys, create: false))
                }
                for row in rows {
                    let table = try transaction.table(row.table, keys: row.keys, create: false)
                    try row.value.withUnsafeBytes { value in
                        _ = try row.key.withUnsafeBytes { try transaction.put(value, for: $0, in: table) }
                    }
                }
            }
        }
    }

    /// The rows, one of which has another value, or another key where keys are bytes.
    func damaged(_ random: inout SeededRandom) -> (rows: [Row], changed: Int) {
        var rows = rows
        let at = random.below(rows.count)
        let other = rows[random.below(rows.count)].value
        if random.chance(15), rows[at].keys == .bytes {
            let key = rows[at].key.damaged(by: other, &random).prefix(500)
            if !key.isEmpty { rows[at].key = Array(key) }
        } else {
            rows[at].value = rows[at].value.damaged(by: other, &random)
        }
        return (rows, at)
    }

    private static func withEnvironment<R>(at path: String, _ body: (Environment) throws -> R) throws -> R {
        var configuration = Environment.Configuration()
        configuration.mapSize = 64 << 20
        configuration.durability = .unsynced
        let environment = try Environment.open(at: path, configuration: configuration)
        defer { environment.close() }
        return try body(environment)
    }
}

/// A new folder for one test, removed with its last reference.
final class Scratch: Sendable {
    private let folder: String

    init() throws {
        folder = "/tmp/ratchet-fuzz-\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { "\(folder)/\(name)" }
}
