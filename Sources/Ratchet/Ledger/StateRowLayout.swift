/// The encoding of a row of a state table: the value, and behind it four bytes of a checksum over the table's name, the key
/// and the value.
@usableFromInline
struct StateRowLayout: Sendable {
    private static let sealSize = 4
    private let name: String
    private let seed: UInt64

    /// The layout of the table that is stored under this name.
    init(_ storedName: String) {
        name = storedName
        seed = Array(storedName.utf8).withUnsafeBytes { Checksum.xxh64($0) }
    }

    /// Calls `body` with the row's bytes.
    @usableFromInline
    func withRow(
        of value: UnsafeRawBufferPointer,
        _ key: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let size = value.count + Self.sealSize
        try withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { row in
            row.copyMemory(from: value)
            row.storeBytes(of: seal(value, key).littleEndian, toByteOffset: value.count, as: UInt32.self)
            try body(UnsafeRawBufferPointer(row))
        }
    }

    /// The value in the row's bytes, in place; throws ``CorruptionError`` if they are not what was written.
    @usableFromInline
    func value(of row: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer) throws -> UnsafeRawBufferPointer {
        let size = row.count - Self.sealSize
        guard size >= 0 else { throw corrupted(key) }
        let value = UnsafeRawBufferPointer(rebasing: row[..<size])
        guard UInt32(littleEndian: row.loadUnaligned(fromByteOffset: size, as: UInt32.self)) == seal(value, key) else {
            throw corrupted(key)
        }
        return value
    }

    private func seal(_ value: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: Checksum.xxh64(value, seed: Checksum.xxh64(key, seed: seed)))
    }

    private func corrupted(_ key: UnsafeRawBufferPointer) -> CorruptionError {
        CorruptionError("the row of table '\(name)' whose key is \(Array(key).hexadecimal)")
    }
}
