import LMDB
import Testing

@Suite struct CursorTests {
    /// 1,000 rows: more than a page, so that every move crosses from one to the next somewhere.
    private func withRows(_ body: (borrowing WriteTransaction, Table) throws -> Void) async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = try transaction.table("rows", keys: .integers, create: true)
                for key in 0..<1000 { _ = try transaction.put([UInt8(key % 251)], for: UInt64(key) * 2, in: table) }
                try body(transaction, table)
            }
        }
    }

    @Test func walksAllRowsBothWays() async throws {
        try await withRows { transaction, table in
            try transaction.withCursor(in: table) { cursor in
                var keys: [UInt64] = []
                while let row = try cursor.next() {
                    #expect([UInt8](row.value) == [UInt8(row.integerKey / 2 % 251)])
                    keys.append(row.integerKey)
                }
                #expect(keys == (0..<1000).map { $0 * 2 })
            }
            try transaction.withCursor(in: table) { cursor in
                var keys: [UInt64] = []
                while let row = try cursor.previous() { keys.append(row.integerKey) }
                #expect(keys == (0..<1000).reversed().map { $0 * 2 })
            }
        }
    }

    @Test func seeksByOrderAndExactly() async throws {
        try await withRows { transaction, table in
            try transaction.withCursor(in: table) { (cursor) throws in
                #expect(try cursor.first()?.integerKey == 0)
                #expect(try cursor.last()?.integerKey == 1998)
                #expect(try cursor.seek(atLeast: 501)?.integerKey == 502)
                #expect(try cursor.seek(atLeast: 502)?.integerKey == 502)
                #expect(try cursor.current()?.integerKey == 502)
                #expect(try cursor.next()?.integerKey == 504)
                #expect(try cursor.previous()?.integerKey == 502)
                #expect(try cursor.seek(exactly: 502)?.integerKey == 502)
                #expect(try cursor.seek(exactly: 501) == nil)
                #expect(try cursor.seek(atLeast: 1999) == nil)
            }
        }
    }

    @Test func integerKeysSortAsNumbersUpToTheLargest() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = try transaction.table("rows", keys: .integers, create: true)
                let keys: [UInt64] = [.max, 1 << 63, 256, 255, 1, 0, 1 << 32]
                for key in keys { #expect(try transaction.put([], for: key, in: table)) }
                try transaction.withCursor(in: table) { cursor in
                    var found: [UInt64] = []
                    while let row = try cursor.next() { found.append(row.integerKey) }
                    #expect(found == keys.sorted())
                }
            }
        }
    }

    @Test func deletingOnTheWayLosesNoRow() async throws {
        try await withRows { transaction, table in
            try transaction.withCursor(in: table) { cursor in
                var seen = 0
                while let row = try cursor.next() {
                    seen += 1
                    if row.integerKey % 3 == 0 { try cursor.delete() }
                }
                #expect(seen == 1000)
            }
            let left = (0..<1000).map { UInt64($0) * 2 }.filter { $0 % 3 != 0 }
            try transaction.withCursor(in: table) { cursor in
                var keys: [UInt64] = []
                while let row = try cursor.next() { keys.append(row.integerKey) }
                #expect(keys == left)
            }
            #expect(try transaction.count(table) == left.count)
        }
    }

    @Test func writesTheRowItIsOnWhateverTheSize() async throws {
        try await withRows { transaction, table in
            try transaction.withCursor(in: table) { cursor in
                for size in [1, 0, 300, 2000, 9000, 5] {
                    #expect(try cursor.seek(exactly: 1000) != nil)
                    try [UInt8](repeating: 7, count: size).withRawBytes { try cursor.put($0) }
                    #expect(try transaction.bytes(of: 1000, in: table) == [UInt8](repeating: 7, count: size))
                    #expect(try cursor.current()?.integerKey == 1000)
                    #expect(try cursor.next()?.integerKey == 1002)
                }
            }
            #expect(try transaction.count(table) == 1000)
            #expect(try transaction.bytes(of: 998, in: table) == [UInt8(499 % 251)])
            #expect(try transaction.bytes(of: 1002, in: table) == [UInt8(501 % 251)])
        }
    }

    @Test func aCursorWithoutAPositionHasNoRow() async throws {
        try await withRows { transaction, table in
            try transaction.withCursor(in: table) { (cursor) throws in
                #expect(try cursor.current() == nil)
                expect(.absent) { try cursor.delete() }
                expect(.absent) { try [UInt8]().withRawBytes { try cursor.put($0) } }
            }
            try transaction.clear(table)
            try transaction.withCursor(in: table) { (cursor) throws in
                #expect(try cursor.first() == nil)
                #expect(try cursor.last() == nil)
                #expect(try cursor.next() == nil)
                #expect(try cursor.seek(atLeast: 0) == nil)
            }
        }
    }

    @Test func aReadTransactionsCursorCannotWrite() async throws {
        try await withEnvironment { environment in
            try environment.increment()
            try environment.read { transaction in
                let table = try #require(try transaction.table("counters"))
                try transaction.withCursor(in: table) { (cursor) throws in
                    #expect(try cursor.first() != nil)
                    expect(.permissionDenied) { try cursor.delete() }
                    expect(.permissionDenied) { try [UInt8]().withRawBytes { try cursor.put($0) } }
                }
            }
            // An attempt that cannot have written anything leaves the environment as good as it was.
            #expect(environment.failure == nil)
            #expect(try environment.counter() == 1)
        }
    }

    @Test func keysOfTheOtherOrderAreRefused() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let integers = try transaction.table("integers", keys: .integers, create: true)
                let bytes = try transaction.table("bytes", create: true)
                expect(.invalid) { try transaction.put([], for: "abc", in: integers) }
                expect(.invalid) { try transaction.put([], for: 1, in: bytes) }
                expect(.invalid) { try transaction.bytes(of: "abc", in: integers) }
                expect(.invalid) { try transaction.bytes(of: 1, in: bytes) }
                expect(.invalid) { try transaction.delete(1, in: bytes) }
                try transaction.withCursor(in: integers) { cursor in
                    expect(.invalid) { try "abc".withRawBytes { try cursor.seek(atLeast: $0) } }
                }
                try transaction.withCursor(in: bytes) { cursor in
                    expect(.invalid) { try cursor.seek(exactly: 1) }
                }
                expect(.invalid) { try transaction.table("bytes", keys: .integers) }
                expect(.invalid) { try transaction.table("integers", create: false) }
            }
        }
    }
}
