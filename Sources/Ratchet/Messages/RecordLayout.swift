/// The encoding of one message, everywhere: in the broker's log, in a fetch, in an outbox entry and in a dead letter.
///
///     size u32 | keyLength i32 (-1: no key) | headersLength u32 | payloadLength u32 | timestamp i64 | key | headers | payload
///     headers: (nameLength u16 | valueLength u32 | name | value)*
///
/// All integers are little-endian. `size` counts the whole record.
package enum RecordLayout {
    package static let fixedSize = 24
    package static let maximumHeaderName = Int(UInt16.max)
    package static let headerFixedSize = 6

    /// The parts of a record, as ranges within its buffer, once they have been checked against each other.
    package struct Parts: Sendable {
        package var key: Range<Int>?
        package var headers: Range<Int>
        package var payload: Range<Int>
        package var timestamp: Int64
        package var end: Int
    }

    /// Reads the record that begins at `start`; throws ``MessageError/malformed`` when a length does not fit the
    /// buffer.
    package static func parts(of bytes: UnsafeRawBufferPointer, at start: Int) throws(MessageError) -> Parts {
        guard start >= 0, start <= bytes.count, bytes.count - start >= fixedSize else {
            throw MessageError(.malformed, "a record of under \(fixedSize) bytes at byte \(start)")
        }
        let size = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        let keyLength = Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 4, as: Int32.self)))
        let headersLength = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self)))
        let payloadLength = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 12, as: UInt32.self)))
        let keySize = max(keyLength, 0)
        guard keyLength >= -1, size <= bytes.count - start, size == fixedSize + keySize + headersLength + payloadLength
        else {
            throw MessageError(
                .malformed,
                "a record of \(size) bytes at byte \(start) of \(bytes.count), with lengths \(keyLength), \(headersLength), \(payloadLength)"
            )
        }
        let timestamp = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 16, as: Int64.self))
        let key = start + fixedSize
        let headers = key + keySize
        let payload = headers + headersLength
        return Parts(
            key: keyLength < 0 ? nil : key..<headers,
            headers: headers..<payload,
            payload: payload..<payload + payloadLength,
            timestamp: timestamp,
            end: start + size
        )
    }

    /// Calls `body` with each header's name and value in place, until it returns false. Returns false if the bytes are
    /// not a list of headers: a length does not fit.
    @discardableResult
    package static func forEachHeader(
        in headers: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        var at = 0
        while at < headers.count {
            guard headers.count - at >= headerFixedSize else { return false }
            let nameLength = Int(UInt16(littleEndian: headers.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
            let valueLength = Int(UInt32(littleEndian: headers.loadUnaligned(fromByteOffset: at + 2, as: UInt32.self)))
            let name = at + headerFixedSize
            guard nameLength + valueLength <= headers.count - name else { return false }
            let value = name + nameLength
            guard
                body(
                    UnsafeRawBufferPointer(rebasing: headers[name..<value]),
                    UnsafeRawBufferPointer(rebasing: headers[value..<value + valueLength])
                )
            else { return true }
            at = value + valueLength
        }
        return true
    }

    /// The bytes that `headers` take in a record.
    package static func size(of headers: [Header]) -> Int {
        headers.reduce(0) { $0 + headerFixedSize + min($1.name.utf8.count, maximumHeaderName) + $1.value.count }
    }

    /// Whether a record, whose parts fit, has a key.
    package static func hasKey(_ record: UnsafeRawBufferPointer) -> Bool {
        Int32(littleEndian: record.loadUnaligned(fromByteOffset: 4, as: Int32.self)) >= 0
    }

    /// The offset of the timestamp within a record, so that a broker can set it on append.
    package static let timestampOffset = 16
}

extension [UInt8] {
    /// Appends one record; the caller has checked the sizes.
    package mutating func appendRecord(
        key: UnsafeRawBufferPointer?,
        headers: [Header],
        payload: UnsafeRawBufferPointer,
        timestamp: Int64
    ) {
        beginRecord(
            key: key?.count,
            headers: headers.isEmpty ? 0 : RecordLayout.size(of: headers),
            payload: payload.count,
            timestamp: timestamp
        )
        if let key { append(contentsOf: key) }
        for header in headers {
            var name = header.name
            name.withUTF8 { name in header.value.withUnsafeBytes { appendHeader(UnsafeRawBufferPointer(name), $0) } }
        }
        append(contentsOf: payload)
    }

    /// Appends a record's sizes and time; its key, headers and payload, which take as many bytes, are to follow.
    package mutating func beginRecord(key: Int?, headers: Int, payload: Int, timestamp: Int64) {
        let size = RecordLayout.fixedSize + (key ?? 0) + headers + payload
        let fixed: (UInt32, Int32, UInt32, UInt32, Int64) = (
            UInt32(size).littleEndian, Int32(key ?? -1).littleEndian, UInt32(headers).littleEndian,
            UInt32(payload).littleEndian, timestamp.littleEndian
        )
        Swift.withUnsafeBytes(of: fixed) { append(contentsOf: $0) }
    }

    /// Appends one of a record's headers; of a name that is too long as much as there is room for.
    package mutating func appendHeader(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        // One that was not UTF-8 when it was read has grown by what replaces its bytes.
        let name = name.prefix(RecordLayout.maximumHeaderName)
        appendLittleEndian(UInt16(name.count))
        appendLittleEndian(UInt32(value.count))
        append(contentsOf: name)
        append(contentsOf: value)
    }

    /// Appends an integer, least significant byte first.
    package mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
