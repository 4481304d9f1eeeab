import CFaults
import LMDB
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite struct CreationTests {
    @Test func onlyTheOwnerMayLookInside() async throws {
        try await withEnvironment { environment in
            #expect(permissions(of: environment.path) == 0o700)
            #expect(permissions(of: environment.path + "/data.mdb") == 0o600)
            #expect(permissions(of: environment.path + "/lock.mdb") == 0o600)
            #expect(names(in: environment.path) == ["data.mdb", "lock.mdb"])
        }
    }

    @Test func initialisesOnceAndWithTheCreation() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            #expect(throws: Refusal.self) {
                try Environment.open(at: path, configuration: .small) { transaction in
                    _ = try transaction.table("counters", create: true)
                    throw Refusal()
                }
            }
            #expect(names(in: scratch) == [], "nothing was created")

            let environment = try Environment.open(at: path) { transaction in
                let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                try table.put(7, for: "counter", in: transaction)
            }
            #expect(try environment.counter() == 7)
            environment.close()
            let again = try Environment.open(at: path, configuration: .small) { _ in throw Refusal() }
            #expect(try again.counter() == 7)
            #expect(names(in: scratch) == ["environment"])
        }
    }

    @Test func takesAnEmptyFolderAndNoOther() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            #expect(mkdir(path, 0o755) == 0)
            let environment = try Environment.open(at: path + "/", configuration: .small)
            try environment.increment()
            #expect(environment.path.hasSuffix("/environment"))
            environment.close()

            let other = scratch + "/other"
            #expect(mkdir(other, 0o755) == 0)
            #expect(fill(other + "/notes", upTo: 10) == 10)
            expect(.invalid) { try Environment.open(at: other, configuration: .small) }
            #expect(names(in: other) == ["notes"])

            expect(.invalid) { try Environment.open(at: other + "/notes", configuration: .small) }
            expect(.absent) { try Environment.open(at: scratch + "/no/parent", configuration: .small) }
            expect(.absent) { try Environment.open(at: scratch + "/none", configuration: .small(access: .readOnly)) }
            #expect(names(in: scratch) == ["environment", "other"])
        }
    }

    @Test func refusesFilesThatAreNoEnvironment() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            #expect(mkdir(path, 0o700) == 0)
            #expect(fill(path + "/data.mdb", upTo: 8192) == 8192)
            expect(.invalid) { try Environment.open(at: path, configuration: .small) }
            removeTree(path + "/data.mdb")
            #expect(fill(path + "/data.mdb", upTo: 0) == 0)
            expect(.invalid) { try Environment.open(at: path, configuration: .small) }
        }
    }

    @Test func removesWhatInterruptedCreationsLeftBehind() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            for leftover in [".environment.creating-a", ".environment.creating-b"] {
                #expect(mkdir(scratch + "/" + leftover, 0o700) == 0)
                #expect(fill(scratch + "/" + leftover + "/data.mdb", upTo: 100) == 100)
            }
            #expect(mkdir(scratch + "/.other.creating-a", 0o700) == 0)
            try Environment.open(at: path, configuration: .small).increment()
            #expect(names(in: scratch) == [".other.creating-a", "environment"])
        }
    }

    @Test func oneOfManyThatCreateAtOnceGetsIt() async throws {
        try await withScratch { scratch in
            let path = scratch + "/environment"
            let opened = try await withThrowingTaskGroup(of: Environment?.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        do { return try Environment.open(at: path, configuration: .small) } catch let error as LMDBError
                        {
                            #expect(error.code == .alreadyOpen)
                            return nil
                        }
                    }
                }
                var opened: [Environment] = []
                for try await environment in group { if let environment { opened.append(environment) } }
                return opened
            }
            #expect(opened.count == 1)
            try opened.first?.increment()
            #expect(names(in: scratch) == ["environment"])
        }
    }

    #if os(Linux)
        @Test func isOnTheDiskBeforeItHasItsName() async throws {
            try await withScratch { scratch in
                let syncs = Watch(.fsync, under: scratch)
                // Data file, folder, and the parent for the name. A first transaction that writes nothing flushes
                // nothing.
                try Environment.open(at: scratch + "/environment", configuration: .small).close()
                #expect(syncs.count == 3)
                // Any of them may fail: then nothing has been created, or it can be opened.
                for nth in 1...3 {
                    let path = scratch + "/environment \(nth)"
                    let failing = Watch(.fsync, under: scratch, failing: nth, with: EIO)
                    expect(.io) { try Environment.open(at: path, configuration: .small) }
                    #expect(failing.count == nth)
                    try Environment.open(at: path, configuration: .small).increment()
                }
                #expect(names(in: scratch) == ["environment", "environment 1", "environment 2", "environment 3"])
            }
        }

        @Test func killedAtAnyStepLeavesNothingThatCannotBeOpened() async throws {
            try await withScratch { scratch in
                await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                    let path = scratch + "/environment"
                    var step = 1
                    while true {
                        let child = faults_fork()
                        if child == 0 {
                            _ = faults_arm(Int32(FAULTS_ALL), scratch, UInt32(step), Int32(FAULTS_KILL))
                            let environment = try? Environment.open(at: path, configuration: .small) { transaction in
                                let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                                for key in 0..<1000 { try table.put(1, for: "\(key)", in: transaction) }
                            }
                            faults_exit(environment == nil ? 1 : 0)
                        }
                        let code = faults_wait(child)
                        #expect(code == 0 || code == 128 + SIGKILL, "step \(step)")

                        let environment = try Environment.open(at: path, configuration: .small) { transaction in
                            let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                            for key in 0..<1000 { try table.put(2, for: "\(key)", in: transaction) }
                        }
                        let value = try #require(try environment.counter("0"))
                        let rows = try environment.read { try $0.count(#require(try $0.table("counters"))) }
                        #expect(rows == 1000, "step \(step)")
                        #expect(try environment.counter("999") == value, "step \(step)")
                        #expect(names(in: scratch) == ["environment"], "step \(step)")
                        environment.close()
                        if code == 0 {
                            #expect(value == 1)
                            break
                        }
                        removeTree(path)
                        step += 1
                    }
                    // Folder, lock file, pages, syncs, name: fewer calls than these would mean that some were not
                    // watched.
                    #expect(step > 10)
                }
            }
        }

        @Test func leavesACreationThatStillRunsAlone() async throws {
            try await withScratch { scratch in
                await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                    let path = scratch + "/environment"
                    let environment = try Environment.open(at: path, configuration: .small) { transaction in
                        // Another process creates the same one meanwhile, and is done first.
                        let child = faults_fork()
                        if child == 0 {
                            let theirs = try? Environment.open(at: path, configuration: .small)
                            let done: Void? = try? theirs?.increment("theirs")
                            faults_exit(done == nil ? 1 : 0)
                        }
                        #expect(faults_wait(child) == 0)
                        _ = try transaction.table("ours", create: true)
                    }
                    #expect(try environment.counter("theirs") == 1)
                    #expect(try !environment.hasTable("ours"))
                    #expect(names(in: scratch) == ["environment"])
                }
            }
        }
    #endif
}
