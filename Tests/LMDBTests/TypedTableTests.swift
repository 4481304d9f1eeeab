import LMDB
import Seeds
import Testing

@Suite struct TypedTableTests {
    /// Other seeds each run: the failing one is in the message, and can be put here.
    static let seeds = (0..<4).map { _ in UInt64.random(in: .min ... .max) }

    @Test(arguments: seeds)
    func agreesWithADictionaryOverStringsAndBytes(seed: UInt64) async throws {
        try await agree(
            seed: seed,
            key: { generator in
                let letters = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
                    ["a", "b", "z", "Z", "é", "語", "🦊"].randomElement(using: &generator) ?? ""
                }
                return letters.joined()
            },
            value: { generator in
                // Small ones share a page; those beyond half a page have pages of their own.
                let size = [0, 1, 8, 8, 100, 1500, 3000, 20_000].randomElement(using: &generator) ?? 0
                return [UInt8](repeating: UInt8.random(in: .min ... .max, using: &generator), count: size)
            },
            areInOrder: { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        )
    }

    @Test(arguments: seeds)
    func agreesWithADictionaryOverIntegers(seed: UInt64) async throws {
        try await agree(
            seed: seed,
            key: { Int.random(in: -200...200, using: &$0) },
            value: { Int32.random(in: .min ... .max, using: &$0) },
            areInOrder: <
        )
    }

    private func agree<Key: RawCodable & Hashable, Value: RawCodable & Equatable>(
        seed: UInt64,
        key: (inout SeededRandom) -> Key,
        value: (inout SeededRandom) -> Value,
        areInOrder: (Key, Key) -> Bool
    ) async throws {
        var generator = SeededRandom(state: seed)
        try await withScratch { scratch in
            let path = scratch + "/environment"
            var environment = try Environment.open(at: path, configuration: .small(durability: .unsynced))
            var model: [Key: Value] = [:]

            func change(_ transaction: borrowing WriteTransaction, depth: Int) throws {
                let table = TypedTable<Key, Value>(try transaction.table("rows", create: true))
                for _ in 0..<Int.random(in: 1...20, using: &generator) {
                    let key = key(&generator)
                    switch Int.random(in: 0..<(depth < 3 ? 10 : 9), using: &generator) {
                    case 0, 1, 2:
                        let value = value(&generator)
                        try table.put(value, for: key, in: transaction)
                        model[key] = value
                    case 3, 4, 5:
                        let new = value(&generator)
                        let initial = value(&generator)
                        let before = model[key] ?? initial
                        let seen = try table.update(key, default: initial, in: transaction) { value in
                            defer { value = new }
                            return value
                        }
                        #expect(seen == before, "seed \(seed)")
                        model[key] = new
                    case 6:
                        #expect(throws: Refusal.self, "seed \(seed)") {
                            try table.update(key, default: value(&generator), in: transaction) { value in
                                throw Refusal()
                            }
                        }
                    case 7:
                        let wasThere = try table.delete(key, in: transaction)
                        #expect(wasThere == (model.removeValue(forKey: key) != nil), "seed \(seed)")
                    case 8:
                        let found = try table.get(key, in: transaction)
                        #expect(found == model[key], "seed \(seed)")
                    default:
                        let before = model
                        do {
                            try transaction.nested { inner in
                                try change(inner, depth: depth + 1)
                                if Bool.random(using: &generator) { throw Refusal() }
                            }
                        } catch is Refusal {
                            model = before
                        }
                    }
                }
            }

            for round in 0..<120 {
                let before = model
                do {
                    try environment.write { transaction in
                        try change(transaction, depth: 0)
                        if Int.random(in: 0..<4, using: &generator) == 0 { throw Refusal() }
                    }
                } catch is Refusal {
                    model = before
                }
                if round % 40 == 39 {
                    environment.close()
                    environment = try Environment.open(at: path, configuration: .small(durability: .unsynced))
                }
                var rows: [(Key, Value)] = []
                try environment.read { transaction in
                    guard let table = try transaction.table("rows") else { return }
                    try TypedTable<Key, Value>(table).forEach(in: transaction) { rows.append(($0, $1)) }
                    #expect(try transaction.count(table) == model.count, "seed \(seed)")
                }
                let keys = model.keys.sorted(by: areInOrder)
                try #require(rows.map(\.0) == keys, "seed \(seed), round \(round)")
                try #require(rows.map(\.1) == keys.map { model[$0] }, "seed \(seed), round \(round)")
            }
            environment.close()
        }
    }

    @Test func anUpdateWritesItsOwnRowWhateverItsClosureDidToOthers() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = TypedTable<String, Int>(try transaction.table("rows", create: true))
                for (value, key) in ["a", "b", "c", "d"].enumerated() {
                    try table.put(value, for: key, in: transaction)
                }

                // The cursor of the outer one moves.
                try table.update("b", default: 0, in: transaction) { outer in
                    outer += 10
                    try table.update("d", default: 0, in: transaction) { $0 += 10 }
                }
                // Its row goes.
                try table.update("c", default: 0, in: transaction) { value in
                    value += 10
                    try table.delete("c", in: transaction)
                }
                // The inner one moves the cursor and writes nothing.
                try table.update("a", default: 0, in: transaction) { value in
                    value += 10
                    #expect(throws: Refusal.self) {
                        try table.update("d", default: 0, in: transaction) { _ in throw Refusal() }
                    }
                }
                // The change is undone with the nested transaction that made it, the outer one stays.
                try table.update("e", default: 0, in: transaction) { value in
                    value += 14
                    #expect(throws: Refusal.self) {
                        try transaction.nested { inner in
                            try table.update("a", default: 0, in: inner) { $0 = -1 }
                            throw Refusal()
                        }
                    }
                }
                var rows: [String: Int] = [:]
                try table.forEach(in: transaction) { rows[$0] = $1 }
                #expect(rows == ["a": 10, "b": 11, "c": 12, "d": 13, "e": 14])
            }
        }
    }

    @Test func aWalkEndsWhereItsClosureSays() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = TypedTable<Int, Bool>(try transaction.table("rows", create: true))
                for key in 0..<10 { try table.put(true, for: key, in: transaction) }
                var seen: [Int] = []
                try table.forEach(
                    in: transaction,
                    while: { key, _ in
                        seen.append(key)
                        return key < 3
                    }
                )
                #expect(seen == [0, 1, 2, 3])
            }
        }
    }

    @Test func bytesOfAnotherTypeAreAnErrorAndNoValue() async throws {
        try await withEnvironment { environment in
            try environment.write { transaction in
                let table = try transaction.table("rows", create: true)
                #expect(try transaction.put([0xFF, 0xFE], for: "key", in: table))
                expect(.undecodable) { try TypedTable<String, String>(table).get("key", in: transaction) }
                expect(.undecodable) { try TypedTable<String, Int>(table).get("key", in: transaction) }
                expect(.undecodable) { try TypedTable<String, Bool>(table).get("key", in: transaction) }
                expect(.undecodable) {
                    try TypedTable<String, Int64>(table).update("key", default: 0, in: transaction) { $0 += 1 }
                }
                #expect(try transaction.bytes(of: "key", in: table) == [0xFF, 0xFE])
            }
        }
    }

    @Test func integersSortAsNumbersAndComeBackWhole() throws {
        func check<Value: FixedWidthInteger & RawCodable>(_ type: Value.Type) throws {
            let lowest = Value.min
            let highest = Value.max
            let values = Set([lowest, lowest + 1, lowest / 2, 0, 1, highest / 2, highest - 1, highest]).sorted()
            let encoded = values.map { $0.withRawBytes { [UInt8]($0) } }
            for (lower, upper) in zip(encoded, encoded.dropFirst()) {
                #expect(lower.lexicographicallyPrecedes(upper), "\(type)")
            }
            #expect(try encoded.map { try $0.withUnsafeBytes { try Value(rawBytes: $0) } } == values)
        }
        try check(Int.self)
        try check(Int8.self)
        try check(Int16.self)
        try check(Int32.self)
        try check(Int64.self)
        try check(UInt.self)
        try check(UInt8.self)
        try check(UInt16.self)
        try check(UInt32.self)
        try check(UInt64.self)
    }
}
