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

    @Test("What is cut out of a chunk has its offsets, the records left there, and the producers' batches within")
    func cuts() throws {
        var records: [UInt8] = []
        let deltas: [UInt32] = [1, 2, 5]
        for delta in deltas {
            Array("\(delta)".utf8).withUnsafeBytes {
                records.appendRecord(key: $0, headers: [], payload: $0, timestamp: 5)
            }
        }
        let header = ChunkLayout.Header(count: 3, baseOffset: 40, maximumTimestamp: 5, size: records.count, span: 8)
        let entries = [(0, 2), (2, 2), (4, 4)].map { delta, count in
            ProducerEntry(producer: 9, epoch: 0, sequences: 0...0, delta: UInt32(delta), count: UInt32(count))
        }
        let whole = ChunkLayout.sealed(header, records, deltas, entries, uid: 7)
        #expect(try check(whole).endOffset == 48)
        func cut(_ range: Range<Int64>) throws -> (header: ChunkLayout.Header, offsets: [Int64], deltas: [UInt32]) {
            let part = try whole.withUnsafeBytes { try ChunkLayout.cut(range, of: $0, check(whole), uid: 7) }
            let header = try check(part)
            return try part.withUnsafeBytes { part in
                let offsets = (0..<header.count).map { ChunkLayout.offset(of: $0, header, in: part) }
                return (header, offsets, try ChunkLayout.entries(header, in: part).map(\.delta))
            }
        }
        for (range, offsets, left) in [
            (Int64(40)..<Int64(48), [Int64(41), 42, 45], [UInt32(0), 2, 4]), (42..<48, [42, 45], [0, 2]),
            (44..<48, [45], [0]), (40..<42, [41], [0]), (42..<44, [42], [0]),
        ] {
            let part = try cut(range)
            #expect(part.header.baseOffset == range.lowerBound && part.header.endOffset == range.upperBound)
            #expect(part.offsets == offsets && part.deltas == left)
        }
        #expect(throws: ChunkLayout.Damage.self, "a batch in two") { try cut(45..<48) }
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
