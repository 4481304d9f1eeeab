import CFaults
import LMDB
import Testing

#if os(Linux)
    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    /// What other processes do to an environment.
    @Suite struct ProcessTests {
        @Test func anotherProcessLooksInWhileThisOneWrites() async throws {
            try await withScratch { scratch in
                let path = scratch + "/environment"
                let environment = try Environment.open(at: path, configuration: .small)
                try environment.increment()
                await #expect(processExitsWith: .success) { [path = path as String] in
                    let other = try Environment.open(at: path, configuration: .small(access: .readOnly))
                    #expect(try other.counter() == 1)
                    expect(.permissionDenied) { try other.increment() }
                    #expect(try other.counter() == 1)
                }
                try environment.increment()
                #expect(try environment.counter() == 2)
            }
        }

        @Test func aReaderSeesTablesThatTheWriterCreatesLater() async throws {
            await #expect(processExitsWith: .success) {
                let path = try makeScratch()
                defer { removeTree(path) }
                let writer = try Environment.open(at: path, configuration: .small)
                // The child waits for one byte, so that it looks before and after.
                let (toChild, toParent) = (try Pipe(), try Pipe())
                let child = faults_fork()
                if child == 0 {
                    let reader = try? Environment.open(at: path, configuration: .small(access: .readOnly))
                    let before = try? reader?.counter()
                    toParent.signal()
                    toChild.wait()
                    let after = try? reader?.counter()
                    faults_exit(reader != nil && before == nil && after == 1 ? 0 : 1)
                }
                toParent.wait()
                try writer.increment()
                toChild.signal()
                #expect(faults_wait(child) == 0)
            }
        }

        @Test func aReaderThatWasKilledDoesNotKeepPagesForEver() async throws {
            try await withScratch { scratch in
                let path = scratch + "/environment"
                let environment = try Environment.open(at: path, configuration: .small)
                try environment.write { transaction in
                    let table = TypedTable<Int, [UInt8]>(try transaction.table("rows", create: true))
                    for key in 0..<50 { try table.put([UInt8](repeating: 1, count: 3000), for: key, in: transaction) }
                }
                func rewrite(_ times: Int) throws -> Int {
                    for round in 0..<times {
                        try environment.write { transaction in
                            let table = TypedTable<Int, [UInt8]>(try transaction.table("rows", create: true))
                            for key in 0..<50 {
                                let value = [UInt8](repeating: UInt8(round), count: 3000)
                                try table.put(value, for: key, in: transaction)
                            }
                        }
                    }
                    var size = stat()
                    #expect(stat(path + "/data.mdb", &size) == 0)
                    return Int(size.st_size)
                }
                func killReader() async {
                    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
                        let other = try Environment.open(at: path, configuration: .small(access: .readOnly))
                        try other.read { _ in _ = kill(getpid(), SIGKILL) }
                    }
                }
                let settled = try rewrite(5)
                #expect(try rewrite(5) == settled)

                await killReader()
                let pinned = try rewrite(5)
                #expect(pinned > settled + 5 * 50 * 3000, "the dead reader's view keeps all pages")
                // Whoever opens the environment next clears the dead reader's slot.
                await #expect(processExitsWith: .success) { [path = path as String] in
                    _ = try Environment.open(at: path, configuration: .small(access: .readOnly))
                }
                #expect(try rewrite(5) == pinned)

                await killReader()
                let pinnedAgain = try rewrite(20)
                #expect(pinnedAgain > pinned)
                // So does looking at the usage.
                #expect(try environment.usage.file <= pinnedAgain)
                #expect(try rewrite(5) == pinnedAgain)
            }
        }

        @Test func readersThatWereKilledMakeRoomForOthers() async throws {
            try await withScratch { scratch in
                let path = scratch + "/environment"
                let environment = try Environment.open(at: path, configuration: .small(maximumReaders: 1))
                try environment.increment()
                await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
                    let other = try Environment.open(at: path, configuration: .small(access: .readOnly))
                    try other.read { _ in _ = kill(getpid(), SIGKILL) }
                }
                #expect(try environment.counter() == 1)
            }
        }

        @Test func aChildThatClosesWhatItInheritedTakesNothingFromItsParent() async throws {
            await #expect(processExitsWith: .success) {
                let path = try makeScratch()
                defer { removeTree(path) }
                let environment = try Environment.open(at: path, configuration: .small)
                for _ in 0..<3 { try environment.increment() }
                try environment.read { transaction in
                    let child = faults_fork()
                    if child == 0 {
                        environment.close()
                        faults_exit(0)
                    }
                    #expect(faults_wait(child) == 0)
                    // Were the parent's reader slot gone, these would write over the pages of its view.
                    for _ in 0..<20 { try environment.increment() }
                    let table = TypedTable<String, Int>(try #require(try transaction.table("counters")))
                    #expect(try table.get("counter", in: transaction) == 3)
                }
                #expect(try environment.counter() == 23)
            }
        }

        @Test func aChildThatInheritedTheOwnerFileNeitherKeepsItLockedNorUnlocksIt() async throws {
            await #expect(processExitsWith: .success) {
                let path = try makeScratch()
                defer { removeTree(path) }
                let owner = try OwnerFile(in: path)
                let leaving = faults_fork()
                if leaving == 0 {
                    owner.release()
                    faults_exit(0)
                }
                #expect(faults_wait(leaving) == 0)
                #expect(throws: LMDBError.self) { try OwnerFile(in: path) }
                // As a program that is about to be started, between fork and exec.
                let staying = faults_fork()
                if staying == 0 {
                    while true { pause() }
                }
                owner.release()
                let again = Result { try OwnerFile(in: path) }
                kill(staying, SIGKILL)
                _ = faults_wait(staying)
                try again.get().release()
            }
        }

        @Test func theChildOfAForkIsToldToOpenItsOwn() async throws {
            await #expect(processExitsWith: .success) {
                let path = try makeScratch()
                defer { removeTree(path) }
                let environment = try Environment.open(at: path, configuration: .small)
                try environment.increment()
                let child = faults_fork()
                if child == 0 {
                    func isRefused(_ body: () throws -> Void) -> Bool {
                        do { try body() } catch { return (error as? LMDBError)?.code == .inheritedByFork }
                        return false
                    }
                    guard isRefused({ _ = try environment.counter() }) else { faults_exit(2) }
                    guard isRefused({ try environment.increment() }) else { faults_exit(3) }
                    guard isRefused({ try environment.synchronize() }) else { faults_exit(4) }
                    environment.close()
                    let own = try? Environment.open(at: path, configuration: .small)
                    let counter = try? own?.counter()
                    faults_exit(counter == 1 ? 0 : 5)
                }
                #expect(faults_wait(child) == 0)
                // The child's end has not cost the parent its locks: it is still the only writer.
                try environment.increment()
                #expect(try environment.counter() == 2)
            }
        }

        @Test func commitsSurviveTheDeathOfTheProcess() async throws {
            try await withScratch { scratch in
                let path = scratch + "/environment"
                for _ in 1...5 {
                    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
                        let environment = try Environment.open(at: path, configuration: .small)
                        try environment.increment()
                        try environment.write { transaction in
                            let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                            try table.put(-1, for: "counter", in: transaction)
                            kill(getpid(), SIGKILL)
                        }
                    }
                }
                let environment = try Environment.open(at: path, configuration: .small)
                #expect(try environment.counter() == 5)
            }
        }
    }

    /// Lets one process wait for the other without a clock.
    private struct Pipe {
        private let ends: [Int32]

        init() throws {
            var ends: [Int32] = [0, 0]
            try #require(pipe(&ends) == 0)
            self.ends = ends
        }

        func signal() {
            var byte: UInt8 = 1
            _ = write(ends[1], &byte, 1)
        }

        func wait() {
            var byte: UInt8 = 0
            _ = read(ends[0], &byte, 1)
        }
    }
#endif
