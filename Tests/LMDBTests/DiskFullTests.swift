import CFaults
import LMDB
import Testing

#if os(Linux)
    /// A file system that is really full. It is mounted in memory, which needs the rights of root: otherwise these are
    /// skipped.
    @Suite(.enabled(if: faults_can_mount() != 0, "mounting a small file system needs the rights of root"))
    struct DiskFullTests {
        @Test func creatingFailsAndSucceedsOnceThereIsRoom() async throws {
            try await withScratch { scratch in
                await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                    #expect(faults_mount(scratch, 1 << 20) == 0)
                    #expect(fill(scratch + "/filler", upTo: .max) > 500_000)
                    let path = scratch + "/environment"
                    expect(.diskFull) { try Environment.open(at: path, configuration: .small) }
                    #expect(names(in: scratch) == ["filler"])
                    removeTree(scratch + "/filler")
                    let environment = try Environment.open(at: path, configuration: .small)
                    try environment.increment()
                    #expect(try environment.counter() == 1)
                }
            }
        }

        /// Every amount of room from none to enough: whichever file or page is the first that has none, it is an error
        /// and no signal.
        @Test func creatingFailsCleanlyWhateverRoomIsLeft() async throws {
            try await withScratch { scratch in
                await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                    #expect(faults_mount(scratch, 1 << 20) == 0)
                    let path = scratch + "/environment"
                    var failures = 0
                    for left in 0..<16 {
                        #expect(fill(scratch + "/filler", upTo: (1 << 20) - left * 4096) > 500_000)
                        do {
                            try Environment.open(at: path, configuration: .small) {
                                _ = try $0.table("rows", create: true)
                            }.close()
                        } catch let error as LMDBError {
                            #expect(error.code == .diskFull)
                            failures += 1
                        }
                        removeTree(scratch + "/filler")
                        let names = names(in: scratch)
                        #expect(names == [] || names == ["environment"])
                        removeTree(path)
                    }
                    #expect(failures > 3 && failures < 16)
                }
            }
        }

        @Test func whatExistsOpensAndIsReadOnAFullDisk() async throws {
            try await withScratch { scratch in
                await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                    #expect(faults_mount(scratch, 1 << 20) == 0)
                    let path = scratch + "/environment"
                    let environment = try Environment.open(at: path, configuration: .small)
                    try environment.increment()
                    environment.close()
                    #expect(fill(scratch + "/filler", upTo: .max) > 500_000)
                    let again = try Environment.open(at: path, configuration: .small)
                    #expect(try again.counter() == 1)
                    again.close()

                    removeTree(path + "/lock.mdb")
                    #expect(fill(scratch + "/filler more", upTo: .max) > 0)
                    expect(.diskFull) { try Environment.open(at: path, configuration: .small) }
                }
            }
        }

        /// A write that finds room for a part of what it brings: LMDB calls that an I/O error.
        @Test func aWriteThatTheDiskCutsShortSaysThatItIsFull() async throws {
            try await withScratch { scratch in
                await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                    #expect(faults_mount(scratch, 2 << 20) == 0)
                    let environment = try Environment.open(at: scratch + "/environment", configuration: .small)
                    try environment.increment()
                    #expect(fill(scratch + "/filler", upTo: (2 << 20) - 300_000) > 1_000_000)
                    let error = #expect(throws: LMDBError.self) {
                        try environment.write { transaction in
                            let table = try transaction.table("rows", create: true)
                            _ = try transaction.put([UInt8](repeating: 7, count: 600_000), for: "large", in: table)
                        }
                    }
                    #expect(error?.code == .diskFull)
                    #expect(error?.detail.contains("make room") == true)
                }
            }
        }

        @Test func aDiskThatFillsUpIsAnErrorAndNoSignal() async throws {
            try await withScratch { scratch in
                await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                    #expect(faults_mount(scratch, 1 << 20) == 0)
                    let path = scratch + "/environment"
                    let environment = try Environment.open(at: path, configuration: .small)
                    var written = 0
                    let error = #expect(throws: LMDBError.self) {
                        while true {
                            try environment.write { transaction in
                                let table = TypedTable<Int, [UInt8]>(try transaction.table("rows", create: true))
                                try table.put([UInt8](repeating: 7, count: 3000), for: written, in: transaction)
                            }
                            written += 1
                        }
                    }
                    #expect(error?.code == .diskFull)
                    #expect(written > 100)
                    #expect(environment.failure?.code == .diskFull)
                    expect(.poisoned) { try environment.read { _ in } }
                    environment.close()

                    // Another process finds all that was committed, even while the disk is full.
                    let child = faults_fork()
                    if child == 0 {
                        let count = try? Environment.open(at: path, configuration: .small).read { transaction in
                            try transaction.table("rows").map { try transaction.count($0) }
                        }
                        faults_exit(count == written ? 0 : 1)
                    }
                    #expect(faults_wait(child) == 0)
                }
            }
        }
    }
#endif
