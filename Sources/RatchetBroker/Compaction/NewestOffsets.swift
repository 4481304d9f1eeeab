/// Where the newest record of each key lies in a part of a log, in bounded memory.
struct NewestOffsets {
    /// What an entry takes beside its key's bytes, about: the array's head and two slots of a table that is half full.
    private static let entrySize = 96

    /// The bytes that it may take.
    let limit: Int
    private var offsets: [[UInt8]: Int64] = [:]
    private var size = 0

    init(limit: Int) { self.limit = limit }

    /// Whether it has reached its limit: what is in it stays true, and takes no more chunks.
    var isFull: Bool { size >= limit }

    /// The newest record's offset; nil for a key that was not noted.
    subscript(key: UnsafeRawBufferPointer) -> Int64? { offsets[Array(key)] }

    /// Notes a record; those of a key come in order.
    mutating func note(_ key: UnsafeRawBufferPointer, at offset: Int64) {
        if offsets.updateValue(offset, forKey: Array(key)) == nil { size += key.count + Self.entrySize }
    }
}
