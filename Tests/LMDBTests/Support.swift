import LMDB
import Testing

/// An error that means nothing else.
struct Refusal: Error, Equatable {}

/// Expects an error of one code.
func expect<R>(
    _ code: LMDBError.Code,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> R
) {
    let error = #expect(throws: LMDBError.self, sourceLocation: sourceLocation) { _ = try body() }
    #expect(error?.code == code, sourceLocation: sourceLocation)
    if let description = error?.description {
        #expect(!description.isEmpty && !description.contains("\n"), sourceLocation: sourceLocation)
    }
}

extension Environment.Configuration {
    /// A map of 1 GiB: sanitizers leave little address space, and many tests run at a time.
    static let small = small()

    static func small(
        mapSize: Int = 1 << 30,
        quota: Int = 64 << 30,
        maximumTables: Int = 128,
        maximumReaders: Int = 126,
        durability: Durability = .synced,
        access: Access = .readWrite
    ) -> Self {
        Self(
            mapSize: mapSize,
            quota: quota,
            maximumTables: maximumTables,
            maximumReaders: maximumReaders,
            durability: durability,
            access: access
        )
    }
}

extension WriteTransaction {
    /// Writes a row of bytes.
    func put(_ value: [UInt8], for key: String, in table: Table, _ mode: PutMode = .replace) throws -> Bool {
        try key.withRawBytes { key in try value.withRawBytes { try put($0, for: key, in: table, mode) } }
    }

    /// Writes a row of bytes.
    func put(_ value: [UInt8], for key: UInt64, in table: Table, _ mode: PutMode = .replace) throws -> Bool {
        try value.withRawBytes { try put($0, for: key, in: table, mode) }
    }
}

extension Transaction where Self: ~Copyable {
    /// Copies a row.
    func bytes(of key: String, in table: Table) throws -> [UInt8]? {
        try key.withRawBytes { try get($0, in: table).map { [UInt8]($0) } }
    }

    /// Copies a row.
    func bytes(of key: UInt64, in table: Table) throws -> [UInt8]? {
        try get(key, in: table).map { [UInt8]($0) }
    }
}

extension Environment {
    /// Adds one to a row, all in one commit, as the simplest write there is.
    func increment(_ key: String = "counter") throws {
        try write { transaction in
            let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
            try table.update(key, default: 0, in: transaction) { $0 += 1 }
        }
    }

    /// What ``increment(_:)`` has made of a row.
    func counter(_ key: String = "counter") throws -> Int? {
        try read { transaction in
            guard let table = try transaction.table("counters") else { return nil }
            return try TypedTable<String, Int>(table).get(key, in: transaction)
        }
    }

    /// Whether a new view has a table whose keys are bytes.
    func hasTable(_ name: String) throws -> Bool {
        try read { try $0.table(name) != nil }
    }
}
