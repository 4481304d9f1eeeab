import CFaults
import LMDB
import Seeds
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

@Suite("The check of a file's pages")
struct PageCheckTests {
    private static var configuration: Environment.Configuration {
        var configuration = Environment.Configuration.small
        configuration.checksPages = true
        return configuration
    }

    private static func change(_ environment: Environment, _ random: inout SeededRandom) throws {
        try environment.write { transaction in
            let texts = try transaction.table("texts \(random.next() % 3)", create: true)
            let numbers = try transaction.table("numbers", keys: .integers, create: true)
            for _ in 0..<random.next() % 60 {
                let number = random.next() % 900
                let size = random.next() % 8 == 0 ? random.next() % 6_000 : random.next() % 300
                let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: Int(size))
                let name = String(repeating: "key ", count: Int(number % 40)) + "\(number)"
                switch random.next() % 4 {
                case 0: _ = try name.withRawBytes { try transaction.delete($0, in: texts) }
                case 1: _ = try transaction.delete(number, in: numbers)
                case 2: _ = try transaction.put(value, for: number, in: numbers)
                default: _ = try transaction.put(value, for: name, in: texts)
                }
            }
            if random.next() % 30 == 0 { try transaction.clear(random.next() % 2 == 0 ? texts : numbers) }
        }
    }

    @Test("Whatever is written and deleted, an undamaged file passes", arguments: [1, 2, 3, 4] as [UInt64])
    func undamaged(seed: UInt64) async throws {
        try await withScratch { scratch in
            var random = SeededRandom(state: seed)
            for _ in 0..<60 {
                let environment = try Environment.open(at: scratch + "/environment", configuration: Self.configuration)
                for _ in 0..<random.next() % 8 { try Self.change(environment, &random) }
                environment.close()
            }
        }
    }

    /// An environment with some commits, both of whose head pages were changed afterwards.
    private static func make(
        _ path: String,
        _ random: inout SeededRandom,
        head change: (inout [UInt8]) -> Void
    ) throws {
        let made = try Environment.open(at: path, configuration: configuration)
        for _ in 0..<4 { try Self.change(made, &random) }
        made.close()
        let file = URL(filePath: path + "/data.mdb")
        let bytes = [UInt8](try Data(contentsOf: file))
        var heads = [bytes[..<4096], bytes[4096..<8192]].map(Array.init)
        for index in heads.indices { change(&heads[index]) }
        try Data(heads.joined() + bytes[8192...]).write(to: file)
    }

    @Test("A copy that was made of the file alone, without its folder, passes")
    func copiedAlone() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            var random = SeededRandom(state: 7)
            // As `mdb_copy -n -c` does: LMDB's MDB_NOSUBDIR, in its flags.
            try Self.make(path, &random) { $0[45] |= 0x40 }
            let opened = try Environment.open(at: path, configuration: Self.configuration)
            try Self.change(opened, &random)
            opened.close()
            try Environment.open(at: path, configuration: Self.configuration).close()
        }
    }

    @Test("A last page beyond the map that LMDB had is damage, no lack of memory", arguments: [31, 45, 63] as [UInt64])
    func lastPage(bit: UInt64) async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            var random = SeededRandom(state: 7)
            try Self.make(path, &random) { $0[136 + Int(bit / 8)] |= 1 << UInt8(bit % 8) }
            let error = #expect(throws: LMDBError.self) {
                try Environment.open(at: path, configuration: Self.configuration).close()
            }
            #expect(error?.code == .corrupted)
        }
    }

    @Test("A newer head page that says it is the older, with impossible roots, is damage: it hides no commit")
    func olderNumber() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            var (random, numbers) = (SeededRandom(state: 7), [UInt8]())
            try Self.make(path, &random) { numbers.append($0[144]) }
            let newer = numbers[0] > numbers[1] ? 0 : 4096
            let file = URL(filePath: path + "/data.mdb")
            var bytes = [UInt8](try Data(contentsOf: file))
            // Eight bytes are lost in its free list's record; its number is two less, as that slot's was before.
            bytes.replaceSubrange(newer + 46..<newer + 144, with: bytes[newer + 54..<newer + 152])
            bytes[newer + 144] = max(numbers[0], numbers[1]) - 2
            try Data(bytes).write(to: file)
            let error = #expect(throws: LMDBError.self) {
                try Environment.open(at: path, configuration: Self.configuration).close()
            }
            #expect(error?.code == .corrupted)
        }
    }

    #if os(Linux)
        @Test("After a commit whose writes failed, the file opens as the commit before left it")
        func failedWrites() async throws {
            try await withScratch { scratch in
                await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                    for number in 1...24 as ClosedRange<UInt32> {
                        let path = "\(scratch)/\(number)"
                        let child = faults_fork()
                        if child == 0 { faults_exit(Self.failWrite(number, at: path) ? 0 : 1) }
                        #expect(faults_wait(child) == 0)
                        #expect(throws: Never.self, "write \(number)") {
                            try Environment.open(at: path, configuration: Self.configuration).close()
                        }
                    }
                }
            }
        }

        /// Commits in a file that grows no more until the so-manieth write fails; whether a commit failed then.
        private static func failWrite(_ number: UInt32, at path: String) -> Bool {
            func commit(_ environment: Environment, _ round: Int) throws {
                try environment.write { transaction in
                    let texts = try transaction.table("texts", create: true)
                    _ = try transaction.put([UInt8](repeating: 1, count: 100), for: "key \(round % 3)", in: texts)
                }
            }
            do {
                let environment = try Environment.open(at: path, configuration: configuration)
                for round in 0..<10 { try commit(environment, round) }
                guard faults_arm(Watch.Calls.writes.rawValue, path, number, EIO) >= 0 else { return false }
                for round in 0..<40 {
                    do { try commit(environment, round) } catch { return true }
                }
            } catch { return false }
            return false
        }

        @Test("A bit that flips in any page makes the file one that does not open, or changes no more than one row")
        func flipped() async throws {
            try await withScratch { scratch in
                await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                    var random = SeededRandom(state: 5)
                    let path = scratch + "/environment"
                    let made = try Environment.open(at: path, configuration: Self.configuration)
                    for _ in 0..<8 { try Self.change(made, &random) }
                    made.close()
                    let file = URL(filePath: path + "/data.mdb")
                    let whole = [UInt8](try Data(contentsOf: file))
                    let rows = try Self.rows(of: path)
                    var refused = 0
                    for _ in 0..<150 {
                        // Heads of pages and what follows them, where LMDB believes all it reads.
                        let page = Int(random.next() % UInt64(whole.count / 4096))
                        let place = page * 4096 + Int(random.next() % (random.next() % 2 == 0 ? 64 : 4096))
                        var flipped = whole
                        flipped[place] ^= 1 << UInt8(random.next() % 8)
                        try? FileManager.default.removeItem(atPath: path + "/lock.mdb")
                        try Data(flipped).write(to: file)
                        let child = faults_fork()
                        if child == 0 {
                            let found = try? Self.rows(of: path)
                            faults_exit(found.map { Self.difference($0, rows) <= 1 ? 0 : 2 } ?? 1)
                        }
                        let code = faults_wait(child)
                        #expect(code == 0 || code == 1, "byte \(place) of \(whole.count)")
                        if code == 1 { refused += 1 }
                    }
                    #expect(refused > 15)
                }
            }
        }

        private static func rows(of path: String) throws -> [[UInt8]] {
            let environment = try Environment.open(at: path, configuration: configuration)
            defer { environment.close() }
            return try environment.read { transaction in
                var rows: [[UInt8]] = []
                let names = (0..<3).map { (name: "texts \($0)", keys: KeyOrder.bytes) } + [("numbers", .integers)]
                for (name, keys) in names {
                    guard let table = try transaction.table(name, keys: keys) else { throw Refusal() }
                    try transaction.withCursor(in: table) { cursor in
                        var next = try cursor.first()
                        while let row = next {
                            rows.append(Array(name.utf8) + Array(row.key) + [0] + Array(row.value))
                            next = try cursor.next()
                        }
                    }
                }
                return rows
            }
        }

        private static func difference(_ one: [[UInt8]], _ other: [[UInt8]]) -> Int {
            one.count == other.count ? zip(one, other).count { $0 != $1 } : .max
        }
    #endif
}
