/// Reads little-endian integers and length-prefixed bytes, and never past the end: nil from there on.
package struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    package private(set) var at = 0

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The bytes not read yet.
    package var remaining: Int { bytes.count - at }

    package mutating func integer<I: FixedWidthInteger>(_: I.Type = I.self) -> I? {
        guard remaining >= MemoryLayout<I>.size else { return nil }
        defer { at += MemoryLayout<I>.size }
        return I(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: I.self))
    }

    /// The next `count` bytes, in place.
    package mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, remaining >= count else { return nil }
        defer { at += count }
        return UnsafeRawBufferPointer(rebasing: bytes[at..<at + count])
    }

    /// Bytes behind their length as u32.
    package mutating func block() -> [UInt8]? {
        guard let count: UInt32 = integer(), let bytes = bytes(Int(count)) else { return nil }
        return Array(bytes)
    }

    /// Text behind its length as u32; nil if it is not UTF-8.
    package mutating func text() -> String? {
        guard let block = block() else { return nil }
        return String(validating: block, as: UTF8.self)
    }
}

extension [UInt8] {
    /// Appends bytes behind their length as u32.
    package mutating func appendBlock(_ block: some Collection<UInt8>) {
        appendLittleEndian(UInt32(block.count))
        append(contentsOf: block)
    }
}
