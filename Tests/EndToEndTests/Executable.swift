import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// How a run of `orders` ended.
struct Outcome: Sendable {
    /// The exit code, nil after a signal.
    var code: Int32?
    /// Whether it was killed and had no chance to end by itself.
    var isKilled: Bool
    var output: String
    var errors: String
    var lines: [Substring] { output.split(separator: "\n") }
    var errorLines: [Substring] { errors.split(separator: "\n") }
}

/// A running example: `orders`, if no other is named.
final class Executable: Sendable {
    let process: pid_t
    private let scratch: Scratch
    private let name: String

    /// A built product, which is beside the tests.
    static func path(of program: String) -> String {
        let tests = CommandLine.arguments[0]
        return (tests.lastIndex(of: "/").map { String(tests[...$0]) } ?? "./") + program
    }

    /// Starts it, in `folder` if one is given; standard input comes from `input`, else there is none. Its output goes
    /// to files in `scratch`, its errors to `errors` if that is given.
    init(
        _ arguments: [String],
        of program: String = "orders",
        in scratch: Scratch,
        input: Int32? = nil,
        errors: Int32? = nil,
        folder: String? = nil,
        environment: [String] = []
    ) throws {
        let product = Self.path(of: program)
        let command = folder.map { ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", $0, product] } ?? [product]
        let path = command[0]
        self.scratch = scratch
        name = scratch.unusedName("run")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        for (descriptor, kind) in [(1, "output"), (2, "errors")] as [(Int32, String)] {
            let file = scratch.path("\(name).\(kind)")
            posix_spawn_file_actions_addopen(&actions, descriptor, file, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        }
        if let errors { posix_spawn_file_actions_adddup2(&actions, errors, 2) }
        var argv: [UnsafeMutablePointer<CChar>?] = (command + arguments).map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { for text in argv + variables { free(text) } }
        var process = pid_t()
        let number = posix_spawn(&process, path, &actions, nil, &argv, &variables)
        guard number == 0 else { throw SystemError(number: number, what: path) }
        self.process = process
    }

    /// Runs it to its end.
    static func run(_ arguments: String..., in scratch: Scratch, environment: [String] = []) async throws -> Outcome {
        try await Executable(arguments, in: scratch, environment: environment).end()
    }

    enum Signal: Sendable {
        case interrupt, kill, terminate

        var number: Int32 {
            switch self {
            case .interrupt: SIGINT
            case .kill: SIGKILL
            case .terminate: SIGTERM
            }
        }
    }

    func send(_ signal: Signal) { kill(process, signal.number) }

    /// Waits for its end, once; when the test is cancelled, as by its time limit, it is killed.
    func end() async throws -> Outcome {
        let process = process
        let status = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // A thread of its own: it blocks.
                DispatchQueue(label: "orders.wait").async { continuation.resume(returning: Self.status(of: process)) }
            }
        } onCancel: {
            send(.kill)
        }
        try Task.checkCancellation()
        return try outcome(status)
    }

    /// Waits for its end, once, and blocks the thread.
    func wait() throws -> Outcome { try outcome(Self.status(of: process)) }

    private static func status(of process: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status
    }

    private func outcome(_ status: Int32) throws -> Outcome {
        let signal = status & 0x7F
        return Outcome(
            code: signal == 0 ? status >> 8 & 0xFF : nil,
            isKilled: signal == SIGKILL,
            output: try scratch.read("\(name).output"),
            errors: try scratch.read("\(name).errors")
        )
    }
}

struct SystemError: Error, CustomStringConvertible {
    var number: Int32 = errno
    var what: String
    var description: String { "\(what): \(String(cString: strerror(number)))" }
}
