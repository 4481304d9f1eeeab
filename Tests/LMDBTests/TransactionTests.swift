import LMDB
import Testing

@Suite struct TransactionTests {
    @Test func aTransactionThatThrowsLeavesNothing() async throws {
        try await withEnvironment { environment in
            try environment.increment()
            #expect(throws: Refusal.self) {
                try environment.write { transaction in
                    let table = try transaction.table("counters", create: false)
                    try transaction.clear(table)
                    _ = try transaction.table("new", create: true)
                    throw Refusal()
                }
            }
            #expect(try environment.counter() == 1)
            #expect(try environment.hasTable("new") == false)
        }
    }

    @Test func aNestedTransactionThatThrowsUndoesOnlyItself() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = try transaction.table("rows", create: true)
                #expect(try transaction.put([1], for: "outer", in: table))
                #expect(throws: Refusal.self) {
                    try transaction.nested { (inner) throws in
                        #expect(try inner.bytes(of: "outer", in: table) == [1])
                        #expect(try inner.put([2], for: "outer", in: table))
                        #expect(try inner.put([2], for: "inner", in: table))
                        try inner.nested { _ = try $0.put([3], for: "innermost", in: table) }
                        throw Refusal()
                    }
                }
                try transaction.nested { _ = try $0.put([4], for: "second", in: table) }
                #expect(try transaction.put([5], for: "last", in: table))
            }
            try environment.read { transaction in
                let table = try #require(try transaction.table("rows"))
                #expect(try transaction.bytes(of: "outer", in: table) == [1])
                #expect(try transaction.bytes(of: "inner", in: table) == nil)
                #expect(try transaction.bytes(of: "innermost", in: table) == nil)
                #expect(try transaction.bytes(of: "second", in: table) == [4])
                #expect(try transaction.bytes(of: "last", in: table) == [5])
            }
        }
    }

    @Test func tablesComeAndGoWithTheTransactionThatCreatedThem() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                #expect(throws: Refusal.self) {
                    try transaction.nested { inner in
                        let table = try inner.table("first", create: true)
                        #expect(try inner.put([1], for: "key", in: table))
                        throw Refusal()
                    }
                }
                // May get the number that the first one had.
                let table = try transaction.nested { try $0.table("second", keys: .integers, create: true) }
                #expect(try transaction.put([2], for: 7, in: table))
                #expect(throws: Refusal.self) {
                    try transaction.nested { inner in
                        _ = try inner.table("third", create: true)
                        throw Refusal()
                    }
                }
                expect(.absent) { try transaction.table("first", create: false) }
                expect(.absent) { try transaction.table("third", create: false) }
                #expect(try transaction.table("first") == nil)
                #expect(try transaction.table("second", keys: .integers) == table)
            }
            try environment.read { transaction in
                #expect(try transaction.table("first") == nil)
                let table = try #require(try transaction.table("second", keys: .integers))
                #expect(try transaction.bytes(of: 7, in: table) == [2])
            }
        }
    }

    @Test func aViewOlderThanATableDoesNotHaveIt() async throws {
        try await withEnvironment { environment in
            try environment.increment()
            try environment.read { transaction in
                let counters = TypedTable<String, Int>(try #require(try transaction.table("counters")))
                try environment.write { _ = try $0.table("new", create: true) }
                try environment.increment()
                #expect(try transaction.table("new") == nil)
                #expect(try counters.get("counter", in: transaction) == 1)
            }
            #expect(try environment.hasTable("new") == true)
            #expect(try environment.counter() == 2)
        }
    }

    @Test func insertKeepsWhatIsThere() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = try transaction.table("rows", create: true)
                #expect(try transaction.put([1], for: "key", in: table, .insert))
                #expect(try !transaction.put([2], for: "key", in: table, .insert))
                #expect(try transaction.bytes(of: "key", in: table) == [1])
                #expect(try transaction.put([3], for: "key", in: table))
                #expect(try transaction.bytes(of: "key", in: table) == [3])
            }
        }
    }

    @Test func appendTakesOnlyRisingKeys() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = try transaction.table("rows", keys: .integers, create: true)
                for key in 0..<1000 as Range<UInt64> { #expect(try transaction.put([0], for: key, in: table, .append)) }
                expect(.keyOutOfOrder) { try transaction.put([1], for: 999, in: table, .append) }
                expect(.keyOutOfOrder) { try transaction.put([1], for: 5, in: table, .append) }
                #expect(try transaction.bytes(of: 5, in: table) == [0])
                #expect(try transaction.put([2], for: 5000, in: table, .append))
                #expect(try transaction.count(table) == 1001)
            }
        }
    }

    @Test func aReservedRowHoldsWhatWasFilledIn() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = try transaction.table("rows", keys: .integers, create: true)
                for (key, size) in [0, 1, 100, 5000, 100_000].enumerated() {
                    let done = try transaction.reserve(size, for: UInt64(key), in: table, .append) { bytes in
                        #expect(bytes.count == size)
                        for index in bytes.indices { bytes[index] = UInt8(index % 256) }
                    }
                    #expect(done)
                }
                let filled = try transaction.reserve(3, for: 0, in: table, .insert) { _ in throw Refusal() }
                #expect(!filled)
            }
            try environment.read { transaction in
                let table = try #require(try transaction.table("rows", keys: .integers))
                for (key, size) in [0, 1, 100, 5000, 100_000].enumerated() {
                    let expected = (0..<size).map { UInt8($0 % 256) }
                    #expect(try transaction.bytes(of: UInt64(key), in: table) == expected)
                    let count = try transaction.withValue(of: UInt64(key), in: table) { $0?.byteCount }
                    #expect(count == size)
                }
                #expect(try transaction.withValue(of: 77, in: table) { $0 == nil })
            }
        }
    }

    @Test func aRowThatWasReservedAndNotFilledIsNeverCommitted() async throws {
        try await withEnvironment { environment in
            func reserveAndForget(_ transaction: borrowing WriteTransaction) throws {
                let table = try transaction.table("rows", create: true)
                #expect(throws: Refusal.self) {
                    try "key".withRawBytes { try transaction.reserve(9, for: $0, in: table) { _ in throw Refusal() } }
                }
            }
            expect(.badTransaction) { try environment.write { try reserveAndForget($0) } }
            #expect(try environment.hasTable("rows") == false)

            // Undone with the nested transaction, it does not spoil the outer one.
            try environment.write { transaction in
                expect(.badTransaction) { try transaction.nested { try reserveAndForget($0) } }
                #expect(try transaction.table("rows") == nil)
                _ = try transaction.table("other", create: true)
            }
            try environment.read { (transaction) throws in
                #expect(try transaction.table("rows") == nil)
                #expect(try transaction.table("other") != nil)
            }
            #expect(environment.failure == nil)
        }
    }

    @Test func keysHaveOneTo511Bytes() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = try transaction.table("rows", create: true)
                let longest = String(repeating: "k", count: 511)
                #expect(try transaction.put([1], for: longest, in: table))
                #expect(try transaction.bytes(of: longest, in: table) == [1])
                expect(.keyTooLarge) { try transaction.put([1], for: longest + "k", in: table) }
                expect(.keyEmpty) { try transaction.put([1], for: "", in: table) }
                expect(.keyEmpty) { try transaction.bytes(of: "", in: table) }
                let typed = TypedTable<String, Int>(table)
                expect(.keyEmpty) { try typed.update("", default: 0, in: transaction) { $0 = 1 } }
                #expect(try transaction.count(table) == 1)
            }
            #expect(environment.failure == nil)
        }
    }

    @Test func clearKeepsTheTableAndItsHandle() async throws {
        try await withEnvironment { environment in
            let table = try environment.write { transaction in
                let table = try transaction.table("rows", keys: .integers, create: true)
                for key in 0..<10_000 { _ = try transaction.put([1], for: UInt64(key), in: table, .append) }
                return table
            }
            try environment.write { transaction in
                try transaction.clear(table)
                #expect(try transaction.count(table) == 0)
                #expect(try transaction.put([2], for: 3, in: table))
            }
            try environment.read { (transaction) throws in
                #expect(try transaction.count(table) == 1)
                #expect(try transaction.bytes(of: 3, in: table) == [2])
            }
        }
    }

    @Test func moreTablesThanAllowedAreRefused() async throws {
        try await withEnvironment(.small(maximumTables: 3)) { environment in
            try environment.write { transaction in
                for index in 0..<3 { _ = try transaction.table("table \(index)", create: true) }
                expect(.tablesFull) { try transaction.table("one more", create: true) }
            }
        }
    }

    @Test func aFailedPutSpoilsOnlyItsNestedTransaction() async throws {
        try await withEnvironment(.small(mapSize: 1 << 20)) { environment in
            try environment.increment()
            try environment.write { transaction in
                let table = try transaction.table("rows", create: true)
                #expect(try transaction.put([1], for: "before", in: table))
                expect(.mapFull) {
                    try transaction.nested { (inner) throws in
                        let size = 2 << 20
                        #expect(try inner.put([UInt8](repeating: 0, count: size), for: "large", in: table))
                    }
                }
                #expect(try transaction.put([2], for: "after", in: table))
            }
            try environment.read { transaction in
                let table = try #require(try transaction.table("rows"))
                #expect(try transaction.bytes(of: "before", in: table) == [1])
                #expect(try transaction.bytes(of: "after", in: table) == [2])
                #expect(try transaction.bytes(of: "large", in: table) == nil)
            }
            #expect(environment.failure == nil)
        }
    }
}
