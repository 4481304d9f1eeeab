import LMDB
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(30)))
struct WriterThreadTests {
    func withWriter(
        _ configuration: Environment.Configuration = .small,
        limits: WriterThread.Limits = .init(),
        _ body: (Environment, WriterThread) async throws -> Void
    ) async throws {
        try await withEnvironment(configuration) { environment in
            // Not within what the tests count.
            try environment.increment()
            let writer = WriterThread(environment: environment, name: "writer of the tests", limits: limits)
            try await body(environment, writer)
            await writer.stop()
        }
    }

    @Test func writesAndAnswers() async throws {
        try await withWriter { (environment, writer) async throws in
            let value = try await writer.write { transaction in
                let table = TypedTable<String, Int>(try transaction.table("counters", create: false))
                return try table.update("counter", default: 0, in: transaction) { value in
                    value += 41
                    return value
                }
            }
            #expect(value == 42)
            #expect(try environment.counter() == 42)
            await #expect(throws: Refusal.self) { try await writer.write { _ in throw Refusal() } }
            #expect(try environment.counter() == 42)
        }
    }

    @Test func knowsItsOwnThread() async throws {
        try await withWriter { (_, writer) async throws in
            #expect(!writer.isOnThread)
            #expect(try await writer.write { _ in writer.isOnThread })
            #expect(!writer.isOnThread)
        }
    }

    @Test func aPieceAloneThatFailsLeavesNothing() async throws {
        try await withWriter { (environment, writer) async throws in
            let piece = TestPiece { transaction in
                let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                try table.put(-1, for: "counter", in: transaction)
                throw Refusal()
            }
            writer.submit(piece)
            await #expect(throws: Refusal.self) { try await piece.outcome.get() }
            #expect(try environment.counter() == 1)
        }
    }

    @Test func onePieceThatFailsUndoesOnlyItself() async throws {
        try await withWriter { (environment, writer) async throws in
            let gate = Gate()
            await gate.hold(writer)
            let pieces = (0..<9).map { index in
                TestPiece { transaction in
                    let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                    try table.update("row \(index)", default: 0, in: transaction) { $0 += 1 }
                    try table.update("sum", default: 0, in: transaction) { $0 += 1 }
                    if index % 3 == 1 { throw Refusal() }
                }
            }
            for piece in pieces { writer.submit(piece) }
            gate.open()
            for (index, piece) in pieces.enumerated() {
                if index % 3 == 1 {
                    await #expect(throws: Refusal.self) { try await piece.outcome.get() }
                    #expect(try environment.counter("row \(index)") == nil)
                } else {
                    #expect(await piece.failure == nil)
                    #expect(try environment.counter("row \(index)") == 1)
                }
            }
            #expect(try environment.counter("sum") == 6)
        }
    }

    @Test func aPieceThatFillsTheMapUndoesOnlyItself() async throws {
        try await withWriter(.small(mapSize: 1 << 20)) { (environment, writer) async throws in
            let gate = Gate()
            await gate.hold(writer)
            let before = TestPiece(incrementing: "before")
            let large = TestPiece { transaction in
                let table = try transaction.table("rows", create: true)
                _ = try transaction.put([UInt8](repeating: 0, count: 2 << 20), for: "large", in: table)
            }
            let after = TestPiece(incrementing: "after")
            for piece in [before, large, after] { writer.submit(piece) }
            gate.open()
            #expect(await before.failure == nil)
            #expect(await large.failure == .mapFull)
            #expect(await after.failure == nil)
            #expect(try environment.counter("before") == 1)
            #expect(try environment.counter("after") == 1)
        }
    }

    @Test func piecesRunAndCompleteInTheOrderOfTheirSubmission() async throws {
        try await withWriter(limits: .init(pieces: 7)) { (_, writer) async throws in
            let log = Mutex<[Int]>([])
            let pieces = (0..<100).map { number in
                TestPiece(
                    body: { transaction in
                        let table = TypedTable<Int, Int>(try transaction.table("order", create: true))
                        try table.put(number, for: Int(try table.count(in: transaction)), in: transaction)
                    },
                    onCompletion: { _ in log.withLock { $0.append(number) } }
                )
            }
            for piece in pieces { writer.submit(piece) }
            await writer.stop()
            #expect(log.withLock { $0 } == Array(0..<100))
        }
    }

    @Test func aPieceMaySubmitAnotherWhenItIsCompleted() async throws {
        try await withWriter { (environment, writer) async throws in
            let second = TestPiece(incrementing: "second")
            writer.submit(TestPiece(incrementing: "first", onCompletion: { _ in writer.submit(second) }))
            #expect(await second.failure == nil)
            #expect(try environment.counter("second") == 1)
        }
    }

    @Test func moreThanTheBoundIsRefusedAtOnce() async throws {
        try await withWriter(limits: .init(queuedPieces: 3)) { (environment, writer) async throws in
            let gate = Gate()
            await gate.hold(writer)
            let waiting = (0..<3).map { TestPiece(incrementing: "row \($0)") }
            for piece in waiting { writer.submit(piece) }
            let refused = TestPiece(incrementing: "refused")
            writer.submit(refused)
            #expect(refused.completions == 1, "on the caller's thread, before submit returns")
            #expect(await refused.failure == .queueFull)
            gate.open()
            for piece in waiting { #expect(await piece.failure == nil) }
            #expect(try environment.counter("refused") == nil)
            #expect(try await writer.write { _ in true }, "there is room again")
        }
    }

    @Test func stopRunsAllThatWaitsAndTakesNoMore() async throws {
        try await withWriter { (environment, writer) async throws in
            let gate = Gate()
            await gate.hold(writer)
            let pieces = (0..<1000).map { _ in TestPiece(incrementing: "sum") }
            for piece in pieces { writer.submit(piece) }
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<3 { group.addTask { await writer.stop() } }
                gate.open()
            }
            for piece in pieces { #expect(piece.completions == 1) }
            #expect(try environment.counter("sum") == 1000)

            let late = TestPiece(incrementing: "sum")
            writer.submit(late)
            #expect(late.completions == 1)
            #expect(await late.failure == .closed)
            await #expect(throws: LMDBError.self) { try await writer.write { _ in } }
            await writer.stop()
            #expect(!writer.isOnThread)
            environment.close()
        }
    }

    @Test func aThreadThatNobodyStopsEndsWithItsLastReference() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            let pieces = (0..<300).map { _ in TestPiece(incrementing: "sum") }
            do {
                let writer = WriterThread(
                    environment: try Environment.open(at: path, configuration: .small),
                    name: "writer"
                )
                for piece in pieces { writer.submit(piece) }
            }
            for piece in pieces { #expect(await piece.failure == nil) }
            // Only the thread still holds the environment: it can be opened again once the thread has let go.
            while true {
                do {
                    let environment = try Environment.open(at: path, configuration: .small)
                    #expect(try environment.counter("sum") == 300)
                    return
                } catch let error as LMDBError where error.code == .alreadyOpen {
                    await Task.yield()
                }
            }
        }
    }

    @Test func cancellingTheCallerChangesNothing() async throws {
        try await withWriter { (environment, writer) async throws in
            let gate = Gate()
            await gate.hold(writer)
            let task = Task {
                try await writer.write { transaction in
                    let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                    try table.put(1, for: "cancelled", in: transaction)
                }
            }
            task.cancel()
            gate.open()
            try await task.value
            #expect(try environment.counter("cancelled") == 1)
        }
    }

    @Test func manyCallersAtOnceLoseNothing() async throws {
        let limits = WriterThread.Limits(pieces: 16)
        try await withWriter(.small(durability: .unsynced), limits: limits) { (environment, writer) async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<8 {
                    group.addTask {
                        for _ in 0..<100 {
                            try await writer.write { transaction in
                                let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                                try table.update("caller \(caller)", default: 0, in: transaction) { $0 += 1 }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            for caller in 0..<8 { #expect(try environment.counter("caller \(caller)") == 100) }
        }
    }

    @Test func theQuotaRefusesWhatGrowsAndLetsInWhatReclaims() async throws {
        try await withWriter { (environment, writer) async throws in
            let table = try await writer.write { try $0.table("rows", keys: .integers, create: true) }
            @Sendable func add(_ keys: Range<UInt64>) -> TestPiece {
                TestPiece(byteCount: keys.count * 4096) { transaction in
                    let page = [UInt8](repeating: 0, count: 4000)
                    for key in keys { _ = try transaction.put(page, for: key, in: table) }
                }
            }
            let first = add(0..<100)
            writer.submit(first)
            #expect(await first.failure == nil)
            environment.setQuota(try environment.usage.file + 50 * 4096)

            // Both wait: one fits, both do not.
            let gate = Gate()
            await gate.hold(writer)
            let fits = add(100..<140)
            let doesNot = add(140..<180)
            let small = TestPiece(incrementing: "small", byteCount: 100)
            for piece in [fits, doesNot, small] { writer.submit(piece) }
            gate.open()
            #expect(await fits.failure == nil)
            #expect(await doesNot.failure == .quotaExceeded)
            #expect(await small.failure == nil)

            let grows = add(140..<180)
            writer.submit(grows)
            #expect(await grows.failure == .quotaExceeded)
            #expect(try environment.read { try $0.count(table) } == 140)

            // An expiry may need pages before it frees more.
            try await writer.write(byteCount: 100 * 4096, reclaims: true) { try $0.clear(table) }
            let again = add(140..<180)
            writer.submit(again)
            #expect(await again.failure == nil, "there is room on the free list now")
            #expect(environment.failure == nil)
        }
    }
}
