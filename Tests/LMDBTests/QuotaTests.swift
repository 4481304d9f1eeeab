import LMDB
import Testing

@Suite struct QuotaTests {
    @Test func aFullMapFailsThePutAndNothingElse() async throws {
        try await withEnvironment(.small(mapSize: 1 << 20)) { environment in
            try environment.increment()
            expect(.mapFull) {
                try environment.write { transaction in
                    let table = try transaction.table("rows", create: true)
                    _ = try transaction.put([UInt8](repeating: 0, count: 2 << 20), for: "large", in: table)
                }
            }
            #expect(environment.failure == nil)
            try environment.increment()
            #expect(try environment.counter() == 2)
            #expect(try !environment.hasTable("rows"))
        }
    }

    @Test func aMapThatIsFullOnlyAtTheCommitFailsTheCommitAndNothingElse() async throws {
        // The commit itself needs pages, for the list of free ones. How much room the puts must leave for only the
        // commit to fail is LMDB's affair: all amounts are tried.
        var failures: Set<String> = []
        for rows in 0..<64 {
            try await withEnvironment(.small(mapSize: 64 * 4096)) { environment in
                for _ in 0..<3 { try environment.increment() }
                do {
                    try environment.write { transaction in
                        let table = try transaction.table("rows", keys: .integers, create: true)
                        let page = [UInt8](repeating: 0, count: 4000)
                        for key in 0..<rows { _ = try transaction.put(page, for: UInt64(key), in: table) }
                        let counters = try transaction.table("counters", create: false)
                        try transaction.clear(counters)
                    }
                } catch let error as LMDBError {
                    #expect(error.code == .mapFull)
                    failures.insert(error.operation)
                    #expect(environment.failure == nil)
                    #expect(try environment.counter() == 3)
                    try environment.increment()
                    #expect(try environment.counter() == 4)
                }
            }
        }
        #expect(failures == ["put", "commit"])
    }
}
