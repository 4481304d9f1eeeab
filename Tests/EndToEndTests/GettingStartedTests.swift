import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension EndToEnd {
    @Test("The article's program bills an order that is sent three times once")
    func gettingStarted() async throws {
        let scratch = try Scratch()
        let folder = try scratch.makeFolder("first")
        let outcome = try await Executable([folder], of: "getting-started", in: scratch).end()
        #expect(outcome.code == 0)
        #expect(outcome.lines == ["1250"])
    }

    @Test("The smallest program starts, stops at a signal, and starts again")
    func smallest() async throws {
        let scratch = try Scratch()
        let folder = try scratch.makeFolder("smallest")
        for _ in 1...2 {
            let errors = try ErrorPipe()
            let program = try Executable([], of: "Smallest", in: scratch, errors: errors.writer, folder: folder)
            let said = await errors.read(until: "partition assigned", times: 4)
            #expect(said.contains("partition assigned"), "\(said)")
            program.send(.terminate)
            let outcome = try await program.end()
            #expect(outcome.code == 0)
        }
        #expect(try scratch.names(in: "smallest").sorted() == ["billing.ledger", "broker"])
    }

    @Test("The program in the README is the one that is compiled")
    func readmeCode() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let readme = String(decoding: try Data(contentsOf: root.appending(path: "README.md")), as: UTF8.self)
        let program = try Data(contentsOf: root.appending(path: "Examples/Smallest/BillingService.swift"))
        #expect(readme.contains("```swift\n" + String(decoding: program, as: UTF8.self) + "```"))
    }

    @Test("The article's code is the program's")
    func articleCode() throws {
        let program = Set(try Article.lines(of: "Examples/GettingStarted/GettingStarted.swift"))
        let code = try Article.code(of: "Sources/Ratchet/Ratchet.docc/GettingStarted.md")
        for line in code { #expect(program.contains(line), "\(line)") }
        #expect(code.count > 15)
    }
}
