import Testing

@testable import RatchetBroker

@Suite("What compaction keeps of a log")
struct CompactionRuleTests {
    private struct Record {
        var offset: Int64
        var key: String?
        var timestamp: Int64 = 100
        var isTombstone = false
        var isTransient = false
    }

    /// The offsets that stay when all but the newest are noted, and tombstones from before 50 may go.
    private static func kept(_ records: [Record]) -> [Int64] {
        var rule = CompactionRule(newest: NewestOffsets(limit: 1 << 20), tombstonesBefore: 50)
        func visit(_ record: Record, _ body: (CompactionRule.Record) -> Void) {
            Array((record.key ?? "").utf8).withUnsafeBytes { key in
                body(
                    CompactionRule.Record(
                        offset: record.offset,
                        timestamp: record.timestamp,
                        key: record.key == nil ? nil : key,
                        isTombstone: record.isTombstone,
                        isTransient: record.isTransient
                    )
                )
            }
        }
        for record in records { visit(record) { rule.note($0) } }
        var kept: [Int64] = []
        for record in records { visit(record) { if rule.keeps($0) { kept.append(record.offset) } } }
        return kept
    }

    @Test("The newest of each key, and everything without a key")
    func newest() {
        #expect(Self.kept([.init(offset: 0, key: "a"), .init(offset: 1), .init(offset: 2, key: "a")]) == [1, 2])
    }

    @Test("A tombstone takes the place of what is older, and goes when it is old enough")
    func tombstones() {
        let old = Record(offset: 1, key: "a", timestamp: 49, isTombstone: true)
        let young = Record(offset: 1, key: "a", timestamp: 50, isTombstone: true)
        #expect(Self.kept([.init(offset: 0, key: "a"), old]) == [])
        #expect(Self.kept([.init(offset: 0, key: "a"), young]) == [1])
        #expect(Self.kept([old, .init(offset: 2, key: "a")]) == [2])
    }

    @Test("What is gone after a restart takes no durable one's place, and hides it until then")
    func transient() {
        let value = Record(offset: 1, key: "a", isTransient: true)
        let tombstone = Record(offset: 1, key: "a", timestamp: 0, isTombstone: true, isTransient: true)
        #expect(Self.kept([.init(offset: 0, key: "a"), value]) == [0, 1])
        #expect(Self.kept([.init(offset: 0, key: "a"), tombstone]) == [0, 1])
        #expect(Self.kept([value, .init(offset: 2, key: "a")]) == [2])
    }

    @Test("The memory for keys is bounded by what they take, not by how often they come")
    func memory() {
        var newest = NewestOffsets(limit: 1000)
        func note(_ key: String, _ offset: Int64) {
            Array(key.utf8).withUnsafeBytes { newest.note($0, at: offset) }
        }
        for offset in 0..<1000 { note("a", Int64(offset)) }
        #expect(!newest.isFull)
        for number in 0..<10 { note("k\(number)", 1000) }
        #expect(newest.isFull)
    }
}
