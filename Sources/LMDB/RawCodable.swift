/// A value that has a form in bytes, as a key or as a value of a ``TypedTable``.
///
/// Equal values have equal bytes, and what decoding gets is what encoding wrote. As keys, values are ordered by their
/// bytes.
public protocol RawCodable: Sendable {
    /// Calls a closure with the value's bytes, which are valid during the call only.
    ///
    /// - Parameter body: Uses the bytes.
    /// - Returns: What the closure returns.
    func withRawBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R

    /// Makes the value from its bytes, which are valid during the call only and not aligned.
    ///
    /// - Parameter rawBytes: What ``withRawBytes(_:)`` gave.
    /// - Throws: When the bytes are none of this type's.
    init(rawBytes: UnsafeRawBufferPointer) throws
}

extension LMDBError {
    /// The error of bytes that are no value of a type.
    ///
    /// - Parameters:
    ///   - type: The type asked for.
    ///   - count: How many bytes there were.
    /// - Returns: An error of code ``Code/undecodable``.
    @inline(never)
    public static func undecodable(_ type: Any.Type, count: Int) -> LMDBError {
        let detail = "\(count) stored bytes are no \(type): read the table as the type it was written with"
        return LMDBError(.undecodable, operation: "decode", path: "", detail: detail)
    }
}

/// Integers are stored with the most significant byte first and signed ones with the sign flipped, so that keys sort as
/// numbers.
extension FixedWidthInteger where Self: RawCodable {
    /// The bit that sets a signed type's negative values below its others.
    @inlinable
    static var signFlip: Self { Self.isSigned ? 1 << (Self.bitWidth - 1) : 0 }

    /// Calls a closure with the integer's bytes, the most significant first.
    ///
    /// - Parameter body: Uses the bytes.
    /// - Returns: What the closure returns.
    @inlinable
    public func withRawBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withUnsafeBytes(of: (self ^ Self.signFlip).bigEndian, body)
    }

    /// Makes the integer from its bytes.
    ///
    /// - Parameter rawBytes: As many bytes as the type has.
    /// - Throws: ``LMDBError/Code/undecodable`` for any other number of bytes.
    @inlinable
    public init(rawBytes: UnsafeRawBufferPointer) throws {
        guard rawBytes.count == MemoryLayout<Self>.size else {
            throw LMDBError.undecodable(Self.self, count: rawBytes.count)
        }
        var stored: Self = 0
        withUnsafeMutableBytes(of: &stored) { $0.copyMemory(from: rawBytes) }
        self = Self(bigEndian: stored) ^ Self.signFlip
    }
}

extension Int: RawCodable {}
extension Int8: RawCodable {}
extension Int16: RawCodable {}
extension Int32: RawCodable {}
extension Int64: RawCodable {}
extension UInt: RawCodable {}
extension UInt8: RawCodable {}
extension UInt16: RawCodable {}
extension UInt32: RawCodable {}
extension UInt64: RawCodable {}

extension Bool: RawCodable {
    /// Calls a closure with one byte, 0 or 1.
    ///
    /// - Parameter body: Uses the byte.
    /// - Returns: What the closure returns.
    @inlinable
    public func withRawBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withUnsafeBytes(of: self ? 1 as UInt8 : 0, body)
    }

    /// Makes the value from its byte.
    ///
    /// - Parameter rawBytes: One byte, 0 or 1.
    /// - Throws: ``LMDBError/Code/undecodable`` for anything else.
    @inlinable
    public init(rawBytes: UnsafeRawBufferPointer) throws {
        guard rawBytes.count == 1, rawBytes[0] <= 1 else {
            throw LMDBError.undecodable(Self.self, count: rawBytes.count)
        }
        self = rawBytes[0] == 1
    }
}

extension String: RawCodable {
    /// Calls a closure with the string's UTF-8. Strings that are equal but written with other scalars have other bytes.
    ///
    /// - Parameter body: Uses the bytes.
    /// - Returns: What the closure returns.
    @inlinable
    public func withRawBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        var copy = self
        return try copy.withUTF8 { try body(UnsafeRawBufferPointer($0)) }
    }

    /// Makes the string from its UTF-8.
    ///
    /// - Parameter rawBytes: UTF-8.
    /// - Throws: ``LMDBError/Code/undecodable`` when the bytes are no UTF-8.
    @inlinable
    public init(rawBytes: UnsafeRawBufferPointer) throws {
        guard let string = String(validating: rawBytes, as: UTF8.self) else {
            throw LMDBError.undecodable(Self.self, count: rawBytes.count)
        }
        self = string
    }
}

extension [UInt8]: RawCodable {
    /// Calls a closure with the bytes.
    ///
    /// - Parameter body: Uses the bytes.
    /// - Returns: What the closure returns.
    @inlinable
    public func withRawBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withUnsafeBytes(body)
    }

    /// Copies the bytes.
    ///
    /// - Parameter rawBytes: Any bytes.
    @inlinable
    public init(rawBytes: UnsafeRawBufferPointer) { self.init(rawBytes) }
}
