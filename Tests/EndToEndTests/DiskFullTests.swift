import CFaults
import Purchases
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

#if os(Linux)
    extension EndToEnd {
        @Suite(.enabled(if: faults_can_mount() != 0, "mounting a small file system needs the rights of root"))
        struct DiskFullTests {
            private static let size = 64 << 20

            @Test(
                "A disk that fills up ends the run with the cause; with room again all is there, exactly once",
                .timeLimit(.minutes(30)),
                arguments: [1 << 20, 3 << 20, 6 << 20]
            )
            func diskFull(room: Int) async throws {
                let scratch = try Scratch()
                let disk = try scratch.makeFolder("disk")
                // The file system belongs to the thread that mounts it, and to what that starts: nothing here waits
                // elsewhere.
                await #expect(processExitsWith: .success) { [disk = disk as String, room = room as Int] in
                    try Self.fillAndGoOn(disk, room)
                }
            }

            private static func fillAndGoOn(_ disk: String, _ room: Int) throws {
                #expect(faults_mount(disk, size) == 0)
                let scratch = try Scratch()
                let purchases = try Purchases.made(20_000, customers: 500, at: scratch.path("purchases.ndjson"))
                let arguments = ["--input", purchases.path, "--state", "\(disk)/state", "--json"]
                try Data(repeating: 1, count: size - room).write(to: URL(filePath: "\(disk)/filler"))

                let failed = try Executable(arguments, in: scratch).wait()
                #expect(failed.code == 1, "\(failed)")
                #expect(failed.errorLines.count == 1, "\(failed.errors)")
                #expect(failed.errors.contains("No space left on device: make room"), "\(failed.errors)")
                #expect(failed.output == "")

                try FileManager.default.removeItem(atPath: "\(disk)/filler")
                let report = try Report(try Executable(arguments, in: scratch).wait())
                #expect(report.processed == purchases.count)
                #expect(report.receipts == purchases.count)
                #expect(report.deadLettered == 0)
                #expect(report.customers == purchases.customers && report.totalCents == purchases.totalCents)
                #expect(report.published == report.processed + report.duplicates)
                let balances = try Executable(["balances", "--state", "\(disk)/state"], in: scratch).wait()
                #expect(balances.output == purchases.listing)
            }
        }
    }
#endif
