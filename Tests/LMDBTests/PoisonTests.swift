import LMDB
import Testing

#if os(Linux)
    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif
    #if canImport(FoundationEssentials)
        import FoundationEssentials
    #else
        import Foundation
    #endif

    /// What happens after a write or a sync that failed.
    ///
    /// Linux reports a failed write-back once, to one `fdatasync`, and marks the pages clean: the next `fdatasync`, and
    /// so LMDB's next commit, succeeds over pages that never reached the disk. These faults strike once too: whatever
    /// fails after them fails because the environment is poisoned.
    @Suite struct PoisonTests {
        @Test func aFailedSyncPoisonsTheEnvironmentForThisProcess() async throws {
            try await withScratch { scratch in
                let path = scratch + "/environment"
                let environment = try Environment.open(at: path, configuration: .small)
                try environment.increment()
                #expect(environment.failure == nil)

                let watch = Watch(.fdatasync, under: path, failing: 1, with: EIO)
                expect(.io) { try environment.increment() }
                #expect(environment.failure?.code == .io)
                #expect(environment.failure?.operation == "commit")

                expect(.poisoned) { try environment.increment() }
                expect(.poisoned) { try environment.counter() }
                expect(.poisoned) { try environment.synchronize() }
                expect(.poisoned) { try environment.usage }
                #expect(watch.count == 1, "nothing was tried again")
                #expect(environment.failure?.code == .io, "the first error stays")

                environment.close()
                expect(.poisoned) { try Environment.open(at: path, configuration: .small) }
                await #expect(processExitsWith: .success) { [path = path as String] in
                    let environment = try Environment.open(at: path, configuration: .small)
                    #expect(try environment.counter() == 1)
                    try environment.increment()
                    #expect(try environment.counter() == 2)
                }
            }
        }

        @Test(arguments: [(Environment.CommitFault.unwritten, 1), (.written, 2)])
        func aSimulatedCommitFailsLikeARealOneUntilItsProcessEnds(fault: Environment.CommitFault, left: Int)
            async throws
        {
            try await withScratch { scratch in
                let path = scratch + "/environment"
                let environment = try Environment.open(at: path, configuration: .small)
                try environment.increment()
                environment.failNextCommit(fault)
                expect(.io) { try environment.increment() }
                expect(.poisoned) { try environment.increment() }
                expect(.poisoned) { try Environment.open(at: path, configuration: .small) }
                environment.abandon()
                let next = try Environment.open(at: path, configuration: .small)
                #expect(try next.counter() == left)
                try next.increment()
                #expect(try next.counter() == left + 1)
                next.close()
            }
        }

        @Test func aCopyInPlaceOfADeletedPoisonedFolderOpens() async throws {
            try await withScratch { scratch in
                let (path, copy) = (scratch + "/environment", scratch + "/copy")
                try Environment.open(at: copy, configuration: .small).close()
                for _ in 0..<5 {
                    let environment = try Environment.open(at: path, configuration: .small)
                    do {
                        let watch = Watch(.fdatasync, under: path, failing: 1, with: EIO)
                        expect(.io) { try environment.increment() }
                        #expect(watch.count == 1)
                    }
                    environment.close()
                    // The number of the folder that goes is free for the one that comes.
                    try FileManager.default.removeItem(atPath: path)
                    try FileManager.default.copyItem(atPath: copy, toPath: path)
                }
                try Environment.open(at: path, configuration: .small).close()
            }
        }

        static let failures: [(Int32, LMDBError.Code)] = [
            (EIO, .io), (ENOSPC, .diskFull), (EDQUOT, .diskFull), (EFBIG, .io),
        ]

        @Test(arguments: failures)
        func aFailedWritePoisonsTheEnvironment(number: Int32, code: LMDBError.Code) async throws {
            try await withScratch { scratch in
                let path = scratch + "/environment"
                let environment = try Environment.open(at: path, configuration: .small)
                try environment.increment()

                let watch = Watch(.writes, under: path, failing: 1, with: number)
                expect(code) { try environment.increment() }
                #expect(watch.count == 1)
                #expect(environment.failure?.code == code)
                expect(.poisoned) { try environment.increment() }
                expect(.poisoned) { try environment.counter() }
                environment.close()

                await #expect(processExitsWith: .success) { [path = path as String] in
                    let environment = try Environment.open(at: path, configuration: .small)
                    #expect(try environment.counter() == 1)
                    try environment.increment()
                    #expect(try environment.counter() == 2)
                }
            }
        }

        @Test func aFailedWriteOfTheLastPageOfACommitPoisonsTheEnvironment() async throws {
            try await withScratch { scratch in
                let path = scratch + "/environment"
                let environment = try Environment.open(at: path, configuration: .small)
                for _ in 0..<4 { try environment.increment() }
                let counting = Watch(.writes, under: path)
                try environment.increment()
                let perCommit = counting.count
                #expect(perCommit >= 2)

                let watch = Watch(.writes, under: path, failing: perCommit, with: EIO)
                expect(.io) { try environment.increment() }
                #expect(watch.count >= perCommit)
                expect(.poisoned) { try environment.counter() }
                environment.close()

                await #expect(processExitsWith: .success) { [path = path as String] in
                    let environment = try Environment.open(at: path, configuration: .small)
                    #expect(try environment.counter() == 5)
                }
            }
        }

        @Test func aFailedFlushOfEarlierCommitsPoisonsTheEnvironment() async throws {
            try await withEnvironment(.small(durability: .unsynced)) { environment in
                try environment.increment()
                let watch = Watch(.fdatasync, under: environment.path, failing: 1, with: EIO)
                try environment.increment()
                #expect(watch.count == 0)
                expect(.io) { try environment.synchronize() }
                expect(.poisoned) { try environment.increment() }
            }
        }

        @Test func aFailedCommitIsNotKeptByTheCreationOfAnother() async throws {
            // The number of a deleted folder may be given to the next one: that is no reason to refuse it.
            try await withScratch { scratch in
                let path = scratch + "/environment"
                let environment = try Environment.open(at: path, configuration: .small)
                let watch = Watch(.fdatasync, under: path, failing: 1, with: EIO)
                expect(.io) { try environment.increment() }
                #expect(watch.count == 1)
                environment.close()
                removeTree(path)
                let next = try Environment.open(at: path, configuration: .small)
                try next.increment()
                #expect(try next.counter() == 1)
            }
        }
    }
#endif
