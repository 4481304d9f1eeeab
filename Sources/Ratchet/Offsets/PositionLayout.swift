/// The encoding of a position in the ledger's table `positions`.
///
///     version u8 | hasDigest u8 | zero u16 | runs u32 | watermark i64 | lastDigest u64 | generation i64 | (start i64 | end i64 | digest u64)* | xxh64 u64
///
/// The key counts in the checksum, so that no partition's position passes for another's.
package enum PositionLayout {
    package static let version: UInt8 = 1
    private static let fixedSize = 32
    private static let runSize = 24

    /// A partition's stored position: what is done, and the newest generation that wrote it.
    package struct Position: Hashable, Sendable {
        package var tracker: OffsetTracker
        package var generation: Int64

        package init(tracker: OffsetTracker, generation: Int64) {
            self.tracker = tracker
            self.generation = generation
        }
    }

    /// The key of a position: cluster, topic (its id where it can be read), partition and group, each with its length,
    /// so that no two can be taken for one another.
    package static func key(cluster: String, topic: String, partition: Int, group: String) -> [UInt8] {
        var key: [UInt8] = []
        for part in [cluster, topic, group] {
            key.appendLittleEndian(UInt16(clamping: part.utf8.count))
            key.append(contentsOf: part.utf8)
        }
        key.appendLittleEndian(Int32(clamping: partition))
        guard key.count > 500 else { return key }
        // LMDB's keys end at 511 bytes.
        return key.withUnsafeBytes { StrongHash.sha256($0) }
    }

    package static func encode(_ position: Position, key: [UInt8], into bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(version)
        bytes.append(position.tracker.lastDigest == nil ? 0 : 1)
        bytes.appendLittleEndian(UInt16(0))
        bytes.appendLittleEndian(UInt32(position.tracker.runs.count))
        bytes.appendLittleEndian(position.tracker.watermark)
        bytes.appendLittleEndian(position.tracker.lastDigest ?? 0)
        bytes.appendLittleEndian(position.generation)
        for run in position.tracker.runs {
            bytes.appendLittleEndian(run.start)
            bytes.appendLittleEndian(run.end)
            bytes.appendLittleEndian(run.digest)
        }
        bytes.appendLittleEndian(bytes.withUnsafeBytes { checksum(of: $0, key) })
    }

    private static func checksum(of body: UnsafeRawBufferPointer, _ key: [UInt8]) -> UInt64 {
        Checksum.xxh64(body, seed: key.withUnsafeBytes { Checksum.xxh64($0) })
    }

    /// The position in `bytes`, nil if they are not the one of `key`: another version, a length that does not fit, a checksum that
    /// is wrong, runs out of order.
    package static func decode(_ bytes: UnsafeRawBufferPointer, key: [UInt8]) -> Position? {
        guard bytes.count >= fixedSize + 8, bytes[0] == version else { return nil }
        let count = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        guard bytes.count == fixedSize + count * runSize + 8 else { return nil }
        func integer(_ at: Int) -> Int64 {
            Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: Int64.self))
        }
        let sum = UInt64(bitPattern: integer(bytes.count - 8))
        guard sum == checksum(of: UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 8)]), key) else {
            return nil
        }
        let watermark = integer(8)
        var runs: [OffsetTracker.Run] = []
        var previous = watermark
        for index in 0..<count {
            let at = fixedSize + index * runSize
            let run = OffsetTracker.Run(
                start: integer(at),
                end: integer(at + 8),
                digest: UInt64(bitPattern: integer(at + 16))
            )
            guard run.start > previous, run.end > run.start else { return nil }
            previous = run.end
            runs.append(run)
        }
        let digest = bytes[1] == 0 ? nil : UInt64(bitPattern: integer(16))
        return Position(
            tracker: OffsetTracker(watermark: watermark, lastDigest: digest, runs: runs),
            generation: integer(24)
        )
    }
}
