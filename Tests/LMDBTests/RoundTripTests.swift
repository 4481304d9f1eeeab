import LMDB
import Testing

@Suite struct RoundTripTests {
    @Test func writesAndReadsBack() async throws {
        try await withScratch { try await writeAndRead($0 + "/environment") }
    }

    private func writeAndRead(_ path: String) async throws {
        let environment = try Environment.open(at: path) { transaction in
            let table = TypedTable<String, Int>(try transaction.table("balances", create: true))
            try table.put(7, for: "a", in: transaction)
        }
        #expect(throws: LMDBError.self) { try Environment.open(at: path) }
        try environment.write { transaction in
            let table = TypedTable<String, Int>(try #require(try transaction.table("balances")))
            try table.update("a", default: 0, in: transaction) { $0 += 1 }
            try table.update("b", default: 0, in: transaction) { $0 -= 1 }
            struct Undo: Error {}
            #expect(throws: Undo.self) {
                try transaction.nested { inner in
                    _ = try inner.table("gone", create: true)
                    try table.update("a", default: 0, in: inner) { $0 = 100 }
                    throw Undo()
                }
            }
            try transaction.nested { inner in
                _ = try inner.table("kept", keys: .integers, create: true)
                try table.update("b", default: 0, in: inner) { $0 = 100 }
            }
        }
        try environment.read { transaction in
            let table = TypedTable<String, Int>(try #require(try transaction.table("balances")))
            var rows: [String: Int] = [:]
            try table.forEach(in: transaction) { rows[$0] = $1 }
            #expect(rows == ["a": 8, "b": 100])
            #expect(try transaction.table("gone") == nil)
            #expect(try transaction.table("kept", keys: .integers) != nil)
        }
        let writer = WriterThread(environment: environment, name: "writer")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<1000 {
                group.addTask {
                    try await writer.write { transaction in
                        let table = TypedTable<Int, Int>(try transaction.table("numbers", create: true))
                        try table.put(index, for: index, in: transaction)
                    }
                }
            }
            try await group.waitForAll()
        }
        await writer.stop()
        try environment.read { transaction in
            let table = TypedTable<Int, Int>(try #require(try transaction.table("numbers")))
            #expect(try table.count(in: transaction) == 1000)
        }
        environment.close()
    }
}
