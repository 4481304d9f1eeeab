import LMDB
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite struct EnvironmentTests {
    @Test func oneProcessOpensAnEnvironmentOnce() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            let environment = try Environment.open(at: path, configuration: .small)
            try environment.increment()
            expect(.alreadyOpen) { try Environment.open(at: path, configuration: .small) }
            expect(.alreadyOpen) { try Environment.open(at: path + "/", configuration: .small) }
            expect(.alreadyOpen) { try Environment.open(at: path, configuration: .small(access: .readOnly)) }
            #expect(symlink(path, scratch + "/link") == 0)
            expect(.alreadyOpen) { try Environment.open(at: scratch + "/link", configuration: .small) }
            // The refused ones have not cost the first one its locks or files.
            try environment.increment()
            #expect(try environment.counter() == 2)

            environment.close()
            let again = try Environment.open(at: scratch + "/link", configuration: .small)
            #expect(again.path == environment.path)
            #expect(try again.counter() == 2)
        }
    }

    @Test func aClosedEnvironmentSaysSo() async throws {
        try await withEnvironment { environment in
            try environment.increment()
            environment.close()
            environment.close()
            expect(.closed) { try environment.increment() }
            expect(.closed) { try environment.counter() }
            expect(.closed) { try environment.usage }
            expect(.closed) { try environment.synchronize() }
        }
    }

    @Test func theLastReferenceClosesIt() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            for round in 1...3 {
                let environment = try Environment.open(at: path, configuration: .small)
                try environment.increment()
                #expect(try environment.counter() == round)
            }
        }
    }

    @Test func closingUnderAnOpenTransactionIsAProgrammingError() async throws {
        await #expect(processExitsWith: .failure) {
            let path = try makeScratch()
            let environment = try Environment.open(at: path, configuration: .small)
            removeTree(path)
            try environment.read { _ in environment.close() }
        }
    }

    @Test func aWriteInsideAWriteIsAProgrammingErrorAndNoDeadlock() async throws {
        await #expect(processExitsWith: .failure) {
            let path = try makeScratch()
            let environment = try Environment.open(at: path, configuration: .small)
            removeTree(path)
            try environment.write { _ in try environment.write { _ in } }
        }
    }

    @Test func writesOnManyThreadsTakeTurns() async throws {
        try await withEnvironment { environment in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { for _ in 0..<25 { try environment.increment() } } }
                try await group.waitForAll()
            }
            #expect(try environment.counter() == 200)
        }
    }

    @Test func usageFollowsWhatIsWritten() async throws {
        try await withEnvironment(.small(mapSize: 1 << 30, quota: 1 << 20)) { environment in
            let before = try environment.usage
            #expect(before.mapped == 1 << 30)
            #expect(before.quota == 1 << 20)
            let table = try environment.write { transaction in
                let table = try transaction.table("rows", create: true)
                #expect(try transaction.put([UInt8](repeating: 1, count: 500_000), for: "large", in: table))
                return table
            }
            let full = try environment.usage
            #expect(full.file >= before.file + 500_000)
            try environment.write { try $0.clear(table) }
            let cleared = try environment.usage
            #expect(cleared.free >= full.free + 500_000)
            environment.setQuota(77)
            #expect(try environment.usage.quota == 77)
        }
    }

    @Test func moreReadersThanSlotsAreRefused() async throws {
        try await withEnvironment(.small(maximumReaders: 2)) { environment in
            try environment.read { _ in
                try environment.read { _ in
                    expect(.readersFull) { try environment.read { _ in } }
                }
            }
            #expect(try environment.counter() == nil)
        }
    }

    @Test func closingWhenUnusedWaitsForTheTransactionsThatAreOpen() async throws {
        try await withEnvironment { environment in
            try environment.increment()
            let writer = WriterThread(environment: environment, name: "test")
            let gate = Gate()
            await gate.hold(writer)
            let closed = Task { await environment.closeWhenUnused() }
            while (try? environment.read { _ in }) != nil { await Task.yield() }
            expect(.alreadyOpen) { try Environment.open(at: environment.path, configuration: .small) }
            gate.open()
            await closed.value
            let again = try Environment.open(at: environment.path, configuration: .small)
            #expect(try again.counter() == 1)
            await again.closeWhenUnused()
            await again.closeWhenUnused()
            again.close()
        }
    }
}
