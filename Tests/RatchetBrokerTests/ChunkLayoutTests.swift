import Ratchet
import Testing

@testable import RatchetBroker

@Suite struct ChunkLayoutTests {
    private func chunk(uid: UInt32 = 7) throws -> (bytes: [UInt8], header: ChunkLayout.Header) {
        var records: [UInt8] = []
        for text in ["a", "bb", "ccc"] {
            Array(text.utf8).withUnsafeBytes {
                records.appendRecord(key: $0, headers: [Header("h", text)], payload: $0, timestamp: 5)
            }
        }
        let header = ChunkLayout.Header(count: 3, baseOffset: 41, maximumTimestamp: 5, size: records.count)
        var bytes = [UInt8](repeating: 0xEE, count: ChunkLayout.headerSize) + records
        bytes.withUnsafeMutableBytes { ChunkLayout.seal($0, header: header, uid: uid) }
        return (bytes, header)
    }

    private func check(_ bytes: [UInt8], uid: UInt32 = 7) throws -> ChunkLayout.Header {
        try bytes.withUnsafeBytes {
            let header = try ChunkLayout.header(of: $0)
            try ChunkLayout.verify($0, uid: uid)
            return header
        }
    }

    @Test("A chunk reads back as it was written")
    func roundTrip() throws {
        let (bytes, header) = try chunk()
        #expect(try check(bytes) == header)
        #expect(header.endOffset == 44)
    }

    @Test("Any changed bit is found")
    func flippedBits() throws {
        let (bytes, _) = try chunk()
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                #expect(throws: ChunkLayout.Damage.self, "byte \(index), bit \(bit)") { try check(damaged) }
            }
        }
    }

    @Test("A chunk that is cut off or too long is found")
    func lengths() throws {
        let (bytes, _) = try chunk()
        for count in bytes.indices {
            #expect(throws: ChunkLayout.Damage.self) { try check(Array(bytes[..<count])) }
        }
        #expect(throws: ChunkLayout.Damage.self) { try check(bytes + [0]) }
    }

    @Test("A chunk that turns up in another partition is found")
    func otherPartition() throws {
        let (bytes, _) = try chunk(uid: 7)
        #expect(throws: ChunkLayout.Damage.self) { try check(bytes, uid: 8) }
    }

    @Test("Keys of the log sort by partition, then by offset")
    func keys() throws {
        let keys = [LogKey(1, 0), LogKey(1, 255), LogKey(1, 256), LogKey(1, .max), LogKey(2, 0), LogKey(256, 1)]
        let bytes = keys.map { key in key.withBytes { Array($0) } }
        for (a, b) in zip(bytes, bytes.dropFirst()) { #expect(a.lexicographicallyPrecedes(b)) }
        #expect(bytes.map { bytes in bytes.withUnsafeBytes { LogKey($0) } } == keys)
    }
}
