import Ratchet
import Testing

extension EndToEnd {
    @Suite(.serialized) struct BadInputTests {
        let scratch: Scratch
        init() throws { scratch = try Scratch() }

        private static let bad = [
            "no JSON", "{}", "[1,2]", "\"\u{1B}[2J\u{202E}tab\there",
            #"{"id":"","customer":"a","date":"d","quantity":1,"cents":1}"#,
            #"{"id":"e","customer":"","date":"d","quantity":1,"cents":1}"#,
            #"{"id":"f","customer":"a","date":"d","quantity":1,"cents":"1"}"#,
            #"{"id":"g","customer":"a","date":"d","quantity":1,"cents":9223372036854775807}"#,
        ]
        private static let good = [
            #"{"id":"1","customer":"b","date":"d","quantity":1,"cents":100,"extra":{"x":[1]}}"#,
            #"{"id":"2","customer":"a\tb","date":"d","quantity":1,"cents":-5}"#,
            #"{"cents":7,"quantity":1,"date":"d","customer":"b","id":"3"}"#,
        ]

        @Test("Bad lines become dead letters once each, however often they come, and all others count")
        func deadLetters() async throws {
            let state = scratch.path("state")
            // Empty lines, both ends of line, bad lines twice, and no end to the last line.
            let lines = Self.good[...1] + [""] + Self.bad + [""] + Self.bad + Self.good[2...]
            let input = try scratch.write(lines.joined(separator: "\r\n"), as: "bad.ndjson")
            for run in 1...2 {
                let report = try Report(
                    try await Executable.run("--input", input, "--state", state, "--json", in: scratch)
                )
                #expect(report.published == run * (Self.good.count + 2 * Self.bad.count))
                #expect(report.processed == Self.good.count && report.receipts == Self.good.count)
                #expect(report.deadLettered == Self.bad.count)
                #expect(report.duplicates == report.published - report.processed - report.deadLettered)
                #expect(report.customers == 2 && report.totalCents == 102)
            }
            #expect(try await Executable.run("balances", "--state", state, in: scratch).output == "a\\tb\t-5\nb\t107\n")

            let list = try await Executable.run("dead-letters", "--state", state, in: scratch)
            #expect(list.code == 0 && list.lines.count == Self.bad.count)
            for line in list.lines {
                let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
                try #require(fields.count == 6)
                #expect(fields[0].hasSuffix("Z") && fields[1].hasPrefix("orders/") && fields[1].contains("@"))
                #expect(fields[2] == "undecodable" && fields[4] == "4")
                #expect(line.unicodeScalars.allSatisfy { $0 == "\t" || $0.properties.generalCategory != .control })
            }
            #expect(list.output.contains("\tno JSON\n"))
        }

        @Test("A line that no message has room for is counted and named, and all others are processed")
        func oversized() async throws {
            let long = String(repeating: "x", count: 3 << 20)
            let lines = [Self.good[0], long, Self.good[2], long]
            let input = try scratch.write(lines.joined(separator: "\n"), as: "long.ndjson")
            let outcome = try await Executable.run("--input", input, "--json", in: scratch)
            #expect(outcome.code == 1)
            #expect(outcome.errorLines.count == 1 && outcome.errors.contains("not published: 2, the first is line 2"))
            let report = try Report(lines: outcome.lines)
            #expect(report.published == 2 && report.processed == 2 && report.deadLettered == 0)
        }

        @Test("The longest line that is published fits into a message, whatever its key")
        func longest() async throws {
            let customer = String(repeating: "c", count: 256)
            let purchase = #"{"id":"1","customer":"\#(customer)","date":"d","quantity":1,"cents":1}"#
            let line = purchase + String(repeating: " ", count: (1 << 20) - purchase.utf8.count)
            let outcome = try await Executable.run(
                "--input",
                try scratch.write(line, as: "long.ndjson"),
                "--json",
                in: scratch
            )
            #expect(try Report(outcome).processed == 1)
        }

        @Test("An input that cannot be read ends with code 2 and one line, and makes no folder")
        func unreadableInput() async throws {
            for input in [scratch.path("absent"), try scratch.makeFolder("folder")] {
                let state = scratch.path("state")
                let outcome = try await Executable.run("--input", input, "--state", state, in: scratch)
                expectRefusal(outcome, naming: input)
                expectRefusal(try await Executable.run("balances", "--state", state, in: scratch), naming: state)
            }
        }

        @Test("Another program's folder is refused and stays as it is")
        func foreignState() async throws {
            let state = try scratch.makeFolder("foreign")
            _ = try scratch.write("mine", as: "foreign/orders.txt")
            for arguments in [["--generate", "1"], ["balances"], ["dead-letters"]] {
                let outcome = try await Executable(arguments + ["--state", state], in: scratch).end()
                expectRefusal(outcome, naming: state)
                #expect(try scratch.names(in: "foreign") == ["orders.txt"])
            }
        }

        @Test("A state folder that another process uses is refused")
        func stateInUse() async throws {
            let state = scratch.path("state")
            #expect(try await Executable.run("--generate", "10", "--state", state, in: scratch).code == 0)
            let ledger = try Ledger(at: "\(state)/ledger")
            let outcome = try await Executable.run("--generate", "10", "--state", state, in: scratch)
            expectRefusal(outcome, naming: state)
            #expect(outcome.errors.contains("in use"))
            await ledger.close()
            #expect(try await Executable.run("--generate", "10", "--state", state, in: scratch).code == 0)
        }

        @Test("A state folder whose making was cut short is made again")
        func emptyState() async throws {
            let state = try scratch.makeFolder("state")
            _ = try scratch.write("", as: "state/orders.state.unfinished")
            #expect(try await Executable.run("--generate", "10", "--state", state, in: scratch).code == 0)
        }

        private func expectRefusal(
            _ outcome: Outcome,
            naming path: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(outcome.code == 2, sourceLocation: sourceLocation)
            #expect(outcome.output == "", sourceLocation: sourceLocation)
            #expect(outcome.errorLines.count == 1, sourceLocation: sourceLocation)
            #expect(outcome.errors.contains(path), sourceLocation: sourceLocation)
        }
    }
}
