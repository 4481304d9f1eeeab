import LMDB
import Testing

#if os(Linux)
    /// Pieces whose commit may wait for that of others.
    extension WriterThreadTests {
        private static func lasting(bytes: Int = 1 << 20) -> WriterThread.Limits {
            var limits = WriterThread.Limits()
            limits.delay = .seconds(3600)
            limits.delayedBytes = bytes
            return limits
        }

        private static func delayed(_ number: Int, bytes: Int = 1, failsAlone: Bool = true) -> TestPiece {
            TestPiece(incrementing: "row \(number)", failsAlone: failsAlone, delayableBytes: bytes)
        }

        @Test func whatMayWaitIsToldBeforeItsCommitAndSharesThatOfWhatMayNot() async throws {
            try await withWriter(limits: Self.lasting()) { (environment, writer) async throws in
                let watch = Watch(.fdatasync, under: environment.path)
                let waiting = (0..<20).map { Self.delayed($0) }
                for piece in waiting {
                    writer.submit(piece)
                    await piece.waitUntilWritten()
                }
                #expect(watch.count == 0)
                #expect(waiting.allSatisfy { $0.completions == 0 })
                #expect(try environment.counter("row 0") == nil)
                let urgent = TestPiece(incrementing: "row 20")
                writer.submit(urgent)
                for piece in waiting + [urgent] { #expect(await piece.failure == nil) }
                #expect(watch.count == 1)
                for number in 0...20 { #expect(try environment.counter("row \(number)") == 1) }
            }
        }

        @Test func whatMayWaitDoesSoForTheDelayOnly() async throws {
            var limits = WriterThread.Limits()
            limits.delay = .milliseconds(1)
            try await withWriter(limits: limits) { (environment, writer) async throws in
                let piece = Self.delayed(0)
                writer.submit(piece)
                #expect(await piece.failure == nil)
                #expect(try environment.counter("row 0") == 1)
            }
        }

        @Test func noMoreBytesWaitThanTheLimit() async throws {
            try await withWriter(limits: Self.lasting(bytes: 100)) { (environment, writer) async throws in
                let watch = Watch(.fdatasync, under: environment.path)
                let pieces = (0..<6).map { Self.delayed($0, bytes: 40) }
                for piece in pieces {
                    writer.submit(piece)
                    await piece.waitUntilWritten()
                }
                // 40 40 40, and the same once more.
                for piece in pieces { #expect(await piece.failure == nil) }
                #expect(watch.count == 2)
            }
        }

        @Test func aPieceThatFailsUndoesNoneThatWaits() async throws {
            try await withWriter(limits: Self.lasting()) { (environment, writer) async throws in
                let waiting = Self.delayed(0)
                writer.submit(waiting)
                await waiting.waitUntilWritten()
                let failing = TestPiece { transaction in
                    let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                    try table.put(-1, for: "row 0", in: transaction)
                    throw Refusal()
                }
                writer.submit(failing)
                await #expect(throws: Refusal.self) { try await failing.outcome.get() }
                #expect(await waiting.failure == nil)
                #expect(try environment.counter("row 0") == 1)
            }
        }

        @Test func aPieceWhoseFailureUndoesOthersIsWrittenBehindThoseThatWait() async throws {
            try await withWriter(limits: Self.lasting()) { (environment, writer) async throws in
                let waiting = Self.delayed(0)
                writer.submit(waiting)
                await waiting.waitUntilWritten()
                let failing = TestPiece(failsAlone: false) { _ in throw Refusal() }
                writer.submit(failing)
                await #expect(throws: Refusal.self) { try await failing.outcome.get() }
                #expect(await waiting.failure == nil)
                #expect(try environment.counter("row 0") == 1)
                // Nor is anybody told beside such a piece.
                let gate = Gate()
                await gate.hold(writer)
                let watch = Watch(.fdatasync, under: environment.path)
                let pieces = [Self.delayed(1), Self.delayed(2, failsAlone: false)]
                for piece in pieces { writer.submit(piece) }
                gate.open()
                for piece in pieces { #expect(await piece.failure == nil) }
                #expect(watch.count == 1)
            }
        }

        @Test func aWriterThatStopsCommitsWhatWaitsAndOneThatIsAbandonedDoesNot() async throws {
            for isAbandoned in [false, true] {
                try await withWriter(limits: Self.lasting()) { (environment, writer) async throws in
                    let piece = Self.delayed(0)
                    writer.submit(piece)
                    await piece.waitUntilWritten()
                    if isAbandoned { writer.abandon() }
                    await writer.stop()
                    #expect(await piece.failure == (isAbandoned ? .closed : nil))
                    #expect(try environment.counter("row 0") == (isAbandoned ? nil : 1))
                }
            }
        }
    }
#endif
