import Subprocess

#if canImport(System)
    import System
#else
    import SystemPackage
#endif

/// Other processes of this program.
enum OwnProgram {
    struct End: Sendable {
        let status: TerminationStatus
        /// What it wrote to its standard error.
        let words: String
    }

    /// Runs `loss-lab collect`: `body` writes ids to it, one on a line.
    static func collect<R: Sendable>(
        into file: String,
        _ body: (StandardInputWriter) async throws -> R
    ) async throws -> R {
        let result = try await run(
            executable,
            arguments: ["collect", file],
            environment: environment,
            input: .inputWriter,
            output: .discarded,
            error: .string(limit: errorLimit)
        ) { execution in
            try await body(execution.standardInputWriter)
        }
        try check(result.terminationStatus, result.standardError)
        return result.closureResult
    }

    /// Runs `loss-lab collect --ledger`.
    static func collect(into file: String, ledger: String) async throws {
        let result = try await run(
            executable,
            arguments: ["collect", file, "--ledger", ledger],
            environment: environment,
            output: .discarded,
            error: .string(limit: errorLimit)
        )
        try check(result.terminationStatus, result.standardError)
    }

    /// Runs `loss-lab act`; `body` gets the lines that it writes, as they come.
    static func act(_ arguments: [String], _ body: ([Line]) async throws -> Void) async throws -> End {
        let result = try await run(
            executable,
            arguments: Arguments(["act"] + arguments),
            environment: environment,
            input: .none,
            output: .sequence,
            error: .string(limit: errorLimit)
        ) { execution in
            var rest: [UInt8] = []
            for try await piece in execution.standardOutput {
                piece.withUnsafeBytes { rest += $0 }
                try await body(try takeLines(from: &rest))
            }
        }
        return End(status: result.terminationStatus, words: result.standardError)
    }

    private static let errorLimit = 1 << 16
    private static var executable: Executable { .path(FilePath(OwnProcess.program)) }
    // A backtrace takes seconds.
    private static var environment: Environment { .inherit.updating(["SWIFT_BACKTRACE": "enable=no"]) }

    private static func check(_ status: TerminationStatus, _ words: String) throws {
        guard status == .exited(0) else { throw LabError("the collector ended with \(status): \(words)") }
    }

    /// Takes the whole lines.
    private static func takeLines(from bytes: inout [UInt8]) throws -> [Line] {
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        let lines = try String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\n").map { text in
            guard let line = Line(String(text)) else { throw LabError("a step said '\(text)'") }
            return line
        }
        bytes.removeFirst(end + 1)
        return lines
    }
}
