import Seeds
import Testing

@testable import LMDB

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// LMDB believes its pages: what the check lets pass, LMDB must be able to read and to go on with.
@Suite("Fuzzing: pages of an environment", .fuzzing)
struct PageTests {
    private static let tables: [(name: String, keys: KeyOrder)] = [
        ("texts 0", .bytes), ("texts 1", .bytes), ("numbers", .integers),
    ]

    /// A file with pages of each kind: rows that fill several levels, values on pages of their own, and free pages.
    private static func make(at path: String, _ random: inout SeededRandom) throws -> [UInt8] {
        let environment = try open(path, checksPages: false)
        for round in 0..<4 {
            try environment.write { transaction in
                for (name, keys) in tables {
                    let table = try transaction.table(name, keys: keys, create: true)
                    for number in 0..<(40 as UInt64) where random.chance(60) {
                        let name = "key \(String(repeating: "k", count: Int(number))) \(number)"
                        let key = keys == .integers ? withUnsafeBytes(of: number) { Array($0) } : Array(name.utf8)
                        let size = random.chance(5) ? 3_000 + random.below(6_000) : random.below(200)
                        if round > 1, random.chance(40) {
                            _ = try key.withUnsafeBytes { try transaction.delete($0, in: table) }
                        } else {
                            _ = try random.bytes(size).withUnsafeBytes { value in
                                try key.withUnsafeBytes { try transaction.put(value, for: $0, in: table) }
                            }
                        }
                    }
                }
            }
        }
        environment.close()
        return [UInt8](try Data(contentsOf: URL(filePath: path + "/data.mdb")))
    }

    private static func open(_ path: String, checksPages: Bool) throws -> Environment {
        var configuration = Environment.Configuration()
        configuration.mapSize = 64 << 20
        configuration.quota = 1 << 30
        configuration.durability = .unsynced
        configuration.checksPages = checksPages
        return try Environment.open(at: path, configuration: configuration)
    }

    @Test(
        "Damaged pages are refused, or can be read and gone on with, and hide no row",
        arguments: [Seed(value: 1_881_324)] + Seed.some(1)
    )
    func pages(seed: Seed) async throws {
        let scratch = try Scratch()
        var random = seed.random
        let path = scratch.path("environment")
        let whole = try Self.make(at: path, &random)
        let count = try Self.goOn(at: path)
        try await Fuzz.run("pages", seed, rounds: 400) { random in
            let bytes = Self.damaged(whole, &random)
            try? FileManager.default.removeItem(atPath: path + "/lock.mdb")
            try Data(bytes).write(to: URL(filePath: path + "/data.mdb"))
            do {
                #expect(try Self.goOn(at: path) == count)
                // What LMDB has written passes.
                #expect(try Self.goOn(at: path) == count + 1)
            } catch let error as LMDBError {
                // A table may have lost its name, or its keys their order.
                let isKnown = [.corrupted, .absent, .invalid].contains(error.code)
                #expect(bytes != whole && isKnown, "\(error)")
            }
        }
    }

    /// Opens the file, if it passes, reads all rows and writes one. Returns how many were there.
    private static func goOn(at path: String) throws -> Int {
        let environment = try open(path, checksPages: true)
        defer { environment.close() }
        return try environment.write { transaction in
            var count = 0
            for (name, keys) in tables {
                let table = try transaction.table(name, keys: keys, create: false)
                try transaction.withCursor(in: table) { cursor in
                    var next = try cursor.first()
                    while let row = next {
                        count += row.key.isEmpty ? 0 : 1
                        next = try cursor.next()
                    }
                }
            }
            let table = try transaction.table("numbers", keys: .integers, create: false)
            let number: UInt64 = 1_000
            _ = try withUnsafeBytes(of: number) { key in
                try Array("last".utf8).withUnsafeBytes { try transaction.put($0, for: key, in: table) }
            }
            return count
        }
    }

    /// Mostly where LMDB's own numbers are: heads of pages and rows, and the lists of places. Sometimes the file ends early
    /// or a page lies where another one was.
    private static func damaged(_ whole: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = whole
        let size = 4096
        switch random.below(12) {
        case 0: bytes.removeLast(random.below(bytes.count))
        case 1:
            let (from, to) = (random.below(bytes.count / size) * size, random.below(bytes.count / size) * size)
            bytes.replaceSubrange(to..<to + size, with: whole[from..<from + size])
        default: break
        }
        guard bytes.count >= size else { return bytes }
        for _ in 0...random.below(3) {
            let page = random.below(bytes.count / size) * size
            let start = page + (random.chance(60) ? 0 : random.below(size - 160))
            let part = start..<start + 160
            let changed = Array(bytes[part]).damaged(by: Array(whole[part]), &random)
            for (index, byte) in changed.prefix(part.count).enumerated() { bytes[start + index] = byte }
        }
        return bytes
    }
}
