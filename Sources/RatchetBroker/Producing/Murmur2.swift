/// The murmur2 hash of Kafka's Java client: the same key goes to the same partition number here and there.
enum Murmur2 {
    private static let multiplier: UInt32 = 0x5BD1_E995

    /// The hash of `bytes`, with Kafka's seed.
    static func hash(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        var hash = 0x9747_B28C ^ UInt32(truncatingIfNeeded: bytes.count)
        let tail = bytes.count & ~3
        var at = 0
        while at < tail {
            var word = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)) &* multiplier
            word = (word ^ (word &>> 24)) &* multiplier
            hash = (hash &* multiplier) ^ word
            at &+= 4
        }
        if tail < bytes.count {
            for index in tail..<bytes.count { hash ^= UInt32(bytes[index]) &<< UInt32(8 &* (index &- tail)) }
            hash = hash &* multiplier
        }
        hash = (hash ^ (hash &>> 13)) &* multiplier
        return Int32(bitPattern: hash ^ (hash &>> 15))
    }

    /// The partition of `key` in a topic of `partitions` partitions, as Kafka's default partitioner chooses it.
    static func partition(of key: UnsafeRawBufferPointer, in partitions: Int) -> Int {
        Int(hash(key) & Int32.max) % partitions
    }
}
