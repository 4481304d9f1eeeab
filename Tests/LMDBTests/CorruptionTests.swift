import LMDB
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

@Suite struct CorruptionTests {
    @Test("A key that a flipped bit has made too short for a number is an error, not the end of the process")
    func shortenedKey() async throws {
        try await withScratch { scratch in
            await #expect(processExitsWith: .success) { [scratch = scratch as String] in
                let path = scratch + "/environment"
                let key: UInt64 = 0x1122_3344_5566_7788
                let written = try Environment.open(at: path, configuration: .small) { transaction in
                    let table = try transaction.table("rows", keys: .integers, create: true)
                    _ = try transaction.put([1, 2, 3], for: key, in: table)
                }
                written.close()

                // The key's length is the two bytes before it.
                let file = URL(filePath: path + "/data.mdb")
                var bytes = [UInt8](try Data(contentsOf: file))
                let pattern = withUnsafeBytes(of: key) { [8, 0] + Array($0) }
                let place = try #require(bytes.firstRange(of: pattern)).lowerBound
                bytes[place] = 0
                try Data(bytes).write(to: file)

                let environment = try Environment.open(at: path, configuration: .small)
                try environment.read { transaction in
                    let table = try #require(try transaction.table("rows", keys: .integers))
                    try transaction.withCursor(in: table) { cursor in
                        expect(.corrupted) { try cursor.first().map { $0.integerKey } }
                    }
                }
            }
        }
    }
}
