public import LMDB

// So that a table may be public in a module that imports Ratchet alone.
@_exported public import protocol LMDB.RawCodable

/// A type with a small binary form of its own: integers, text and bytes have one.
public typealias RawCodable = LMDB.RawCodable

/// A table of a pipeline's own state in the ledger: what its handlers read and write in the transaction that settles
/// the message.
///
/// A table is made when it is first written to. Its name is all that identifies it: two values with one name are one
/// table, and must agree about the types.
public struct StateTable<Key: RawCodable, Value: Sendable>: Sendable {
    /// The table's name: 1 to 200 bytes of UTF-8.
    public let name: String
    @usableFromInline let identity: StateTableIdentity
    @usableFromInline let coding: StateCoding<Value>

    /// A table whose values have a binary form: the fast kind.
    @inlinable
    public init(_ name: String) where Value: RawCodable {
        self.init(name, coding: .raw())
    }

    /// A table whose values are stored as JSON: about a microsecond or more for each access.
    public init(json name: String) where Value: Codable {
        self.init(name, coding: .json())
    }

    @usableFromInline
    init(_ name: String, coding: StateCoding<Value>) {
        precondition((1...200).contains(name.utf8.count), "a state table's name has 1 to 200 bytes: '\(name)'")
        self.name = name
        self.coding = coding
        identity = StateTableIdentity(name)
    }
}

/// Tells tables apart without comparing names.
@usableFromInline
final class StateTableIdentity: Sendable {
    static let prefix = "state/"

    let storedName: String
    @usableFromInline let rows: StateRowLayout

    init(_ name: String) {
        storedName = Self.prefix + name
        rows = StateRowLayout(storedName)
    }
}

/// How a table's values become bytes.
@usableFromInline
struct StateCoding<Value: Sendable>: Sendable {
    @usableFromInline let withBytes: @Sendable (Value, (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    @usableFromInline let decode: @Sendable (UnsafeRawBufferPointer) throws -> Value

    @usableFromInline
    init(
        withBytes: @escaping @Sendable (Value, (UnsafeRawBufferPointer) throws -> Void) throws -> Void,
        decode: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Value
    ) {
        self.withBytes = withBytes
        self.decode = decode
    }

    @inlinable
    static func raw() -> StateCoding<Value> where Value: RawCodable {
        StateCoding(
            withBytes: { value, body in try value.withRawBytes(body) },
            decode: { try Value(rawBytes: $0) }
        )
    }

    static func json() -> StateCoding<Value> where Value: Codable {
        StateCoding(
            withBytes: { value, body in try JSONCoding.encode(value).withUnsafeBytes(body) },
            decode: { try JSONCoding.decode(Value.self, from: $0) }
        )
    }
}
