import Testing

extension EndToEnd {
    @Suite("simulate") struct SimulateTests {
        @Test("A seed's run has the same digest in every process, whatever its hash seed and its threads")
        func digests() async throws {
            let scratch = try Scratch()
            var runs: [[Substring]] = []
            for threads in ["1", "2"] {
                let arguments = ["--seed", "1", "--seeds", "10", "--verbose", "--threads", threads]
                let outcome = try await Executable(arguments, of: "simulate", in: scratch).end()
                #expect(outcome.code == 0, "\(outcome.output) \(outcome.errors)")
                runs.append(outcome.lines.filter { $0.hasPrefix("seed ") }.sorted())
            }
            #expect(runs[0].count == 10 && runs[0].allSatisfy { $0.contains("digest ") })
            #expect(runs[0] == runs[1])
        }
    }
}
