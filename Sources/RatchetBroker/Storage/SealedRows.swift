import LMDB
import Ratchet

/// Rows with a checksum over key and value behind the value, so that none passes for another.
enum SealedRow {
    /// The row with the number of the next partition.
    static let nextUID = "uid"
    /// The row with the number of the next producer.
    static let nextProducer = "producer"
    /// The row with the number of the next decision.
    static let nextDecision = "decision"
    /// The row with the ``ProducerTime``.
    static let producerTime = "producer time"
    private static let sealSize = 8

    /// The value in a row's bytes, in place; throws ``BrokerError/Code/corrupted`` if they are not what was written.
    static func value(
        of row: UnsafeRawBufferPointer,
        for key: UnsafeRawBufferPointer,
        _ what: @autoclosure () -> String
    ) throws(BrokerError) -> UnsafeRawBufferPointer {
        let size = row.count - sealSize
        guard size >= 0 else { throw corrupted(what()) }
        let value = UnsafeRawBufferPointer(rebasing: row[..<size])
        guard UInt64(littleEndian: row.loadUnaligned(fromByteOffset: size, as: UInt64.self)) == seal(value, key) else {
            throw corrupted(what())
        }
        return value
    }

    fileprivate static func seal(_ value: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer) -> UInt64 {
        Checksum.xxh64(value, seed: Checksum.xxh64(key))
    }

    private static func corrupted(_ what: String) -> BrokerError {
        BrokerError(.corrupted, "\(what) is not what was written; restore the broker from a copy")
    }
}

extension Transaction where Self: ~Copyable {
    /// The value of a sealed row, nil if there is none.
    func sealed(
        _ key: UnsafeRawBufferPointer,
        in table: Table,
        _ what: @autoclosure () -> String
    ) throws -> UnsafeRawBufferPointer? {
        try get(key, in: table).map { try SealedRow.value(of: $0, for: key, what()) }
    }

    /// The value of a sealed row whose key is text, nil if there is none.
    func sealedText(_ key: String, in table: Table, _ what: @autoclosure () -> String) throws
        -> UnsafeRawBufferPointer?
    {
        try Array(key.utf8).withUnsafeBytes { try sealed($0, in: table, what()) }
    }
}

extension WriteTransaction {
    func putSealed(_ value: UnsafeRawBufferPointer, for key: UnsafeRawBufferPointer, in table: Table) throws {
        try reserve(value.count + 8, for: key, in: table) { row in
            row.copyMemory(from: value)
            row.storeBytes(of: SealedRow.seal(value, key).littleEndian, toByteOffset: value.count, as: UInt64.self)
        }
    }

    func putSealed(_ value: [UInt8], for key: [UInt8], in table: Table) throws {
        try value.withUnsafeBytes { value in try key.withUnsafeBytes { try putSealed(value, for: $0, in: table) } }
    }
}
