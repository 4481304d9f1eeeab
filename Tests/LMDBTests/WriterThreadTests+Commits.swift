import LMDB
import Synchronization
import Testing

#if os(Linux)
    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    /// What shares a commit, and when the commit counts.
    extension WriterThreadTests {
        @Test func whatWaitsSharesOneSync() async throws {
            try await withWriter { (environment, writer) async throws in
                let gate = Gate()
                await gate.hold(writer)
                let pieces = (0..<200).map { TestPiece(incrementing: "row \($0)") }
                for piece in pieces { writer.submit(piece) }
                let watch = Watch(.fdatasync, under: environment.path)
                gate.open()
                for piece in pieces { #expect(await piece.failure == nil) }
                #expect(watch.count == 1)
                for index in 0..<200 { #expect(try environment.counter("row \(index)") == 1) }
            }
        }

        @Test func noCommitHasMorePiecesThanTheLimit() async throws {
            try await withWriter(limits: .init(pieces: 10)) { (environment, writer) async throws in
                let gate = Gate()
                await gate.hold(writer)
                let pieces = (0..<95).map { TestPiece(incrementing: "row \($0)") }
                for piece in pieces { writer.submit(piece) }
                let watch = Watch(.fdatasync, under: environment.path)
                gate.open()
                for piece in pieces { #expect(await piece.failure == nil) }
                #expect(watch.count == 10)
            }
        }

        @Test func noCommitHasMoreBytesThanTheLimitUnlessOnePieceAloneDoes() async throws {
            try await withWriter(limits: .init(bytes: 100)) { (environment, writer) async throws in
                let gate = Gate()
                await gate.hold(writer)
                // Groups: 40 40, 40 60, 500, 100, 1 1.
                let pieces = [40, 40, 40, 60, 500, 100, 1, 1].enumerated().map { index, bytes in
                    TestPiece(incrementing: "row \(index)", byteCount: bytes)
                }
                for piece in pieces { writer.submit(piece) }
                let watch = Watch(.fdatasync, under: environment.path)
                gate.open()
                for piece in pieces { #expect(await piece.failure == nil) }
                #expect(watch.count == 5)
            }
        }

        @Test func nothingIsCompletedBeforeItsCommitIsOnTheDisk() async throws {
            try await withWriter { (environment, writer) async throws in
                let syncs = Watch(.fdatasync, under: environment.path)
                let writes = Watch(.writes, under: environment.path)
                let seen = Mutex<[Int]>([])
                func piece(_ number: Int) -> TestPiece {
                    TestPiece(
                        incrementing: "row \(number)",
                        onCompletion: { _ in
                            // Data pages, sync, and the page that makes them valid, which is written through.
                            let isCommitted = syncs.count == 1 && writes.count >= 2
                            let isVisible = (try? environment.counter("row \(number)")) == 1
                            seen.withLock { $0.append(isCommitted && isVisible ? number : -1) }
                        }
                    )
                }
                let gate = Gate()
                await gate.hold(writer)
                let pieces = (0..<20).map(piece)
                for piece in pieces { writer.submit(piece) }
                #expect(syncs.count == 0)
                gate.open()
                for piece in pieces { #expect(await piece.failure == nil) }
                #expect(seen.withLock { $0 } == Array(0..<20))
            }
        }

        @Test func aGroupInWhichAllFailCostsNoSync() async throws {
            try await withWriter { (environment, writer) async throws in
                let gate = Gate()
                await gate.hold(writer)
                let pieces = (0..<5).map { _ in
                    TestPiece { transaction in
                        _ = try transaction.table("new", create: true)
                        throw Refusal()
                    }
                }
                for piece in pieces { writer.submit(piece) }
                let watch = Watch([.fdatasync, .writes], under: environment.path)
                gate.open()
                for piece in pieces {
                    await #expect(throws: Refusal.self) { try await piece.outcome.get() }
                }
                #expect(watch.count == 0)
                #expect(try !environment.hasTable("new"))
            }
        }

        @Test func aFailedCommitFailsAllThatHadSucceededAndLeavesTheOthersTheirErrors() async throws {
            try await withWriter { (environment, writer) async throws in
                let gate = Gate()
                await gate.hold(writer)
                let good = (0..<3).map { TestPiece(incrementing: "row \($0)") }
                let bad = TestPiece { _ in throw Refusal() }
                for piece in [good[0], bad, good[1], good[2]] { writer.submit(piece) }
                let watch = Watch(.fdatasync, under: environment.path, failing: 1, with: EIO)
                gate.open()
                for piece in good { #expect(await piece.failure == .io) }
                await #expect(throws: Refusal.self) { try await bad.outcome.get() }
                #expect(watch.count == 1)

                let late = TestPiece(incrementing: "late")
                writer.submit(late)
                #expect(await late.failure == .poisoned)
                for piece in good + [bad, late] { #expect(piece.completions == 1) }
            }
        }
    }
#endif
