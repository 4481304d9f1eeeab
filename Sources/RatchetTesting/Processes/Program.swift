import Subprocess

#if canImport(System)
    import System
#else
    import SystemPackage
#endif

/// The program of a crash test, to be run many times.
struct Program: Sendable {
    struct Run: Sendable {
        let status: TerminationStatus
        let time: Duration
        /// It was not at its end by itself within its limit.
        let isLate: Bool
        var isKilled: Bool { status == .signaled(9) }
    }

    private static let (keptOutput, keptErrors) = (1 << 20, 2_000)

    private let test: CrashTest
    /// Where its outputs go: a pipe would end with whoever reads it.
    private let folder: RunFolder

    init(_ test: CrashTest) throws(CrashTestError) {
        self.test = test
        do { folder = try RunFolder(inMemory: false) } catch { throw test.error(.cannotStart, "\(error)") }
    }

    /// What the last run wrote.
    var output: String { Self.text("\(folder.path)/output").first }

    /// Runs it once. After `limit` it is killed, or, if `isGraceful`, asked to end and then killed.
    func run(
        limit: Duration,
        variables: [String: String],
        clock: some Clock<Duration>,
        isGraceful: Bool = false
    ) async throws(CrashTestError) -> Run {
        let start = clock.now
        var ended: Result<TerminationStatus, any Error>?
        var isLate = false
        await withTaskGroup(of: Result<TerminationStatus, any Error>?.self) { group in
            group.addTask {
                do { return .success(try await process(variables, isGraceful)) } catch { return .failure(error) }
            }
            group.addTask {
                // Cancelled when the program ends first.
                do { try await clock.sleep(for: limit) } catch {}
                return nil
            }
            for await result in group {
                if let result { ended = result } else { isLate = ended == nil }
                // A process whose task is cancelled is killed.
                group.cancelAll()
            }
        }
        if Task.isCancelled { throw test.error(.cancelled, "the test was cancelled") }
        let time = start.duration(to: clock.now)
        switch ended {
        case .success(let status): return Run(status: status, time: time, isLate: isLate)
        // Killed before it was there.
        case .failure(is CancellationError) where isLate: return Run(status: .signaled(9), time: time, isLate: true)
        case .failure(let error): throw test.error(.cannotStart, "\(error)")
        case nil: preconditionFailure("a group waits for its tasks")
        }
    }

    private func process(_ variables: [String: String], _ isGraceful: Bool) async throws -> TerminationStatus {
        var options = PlatformOptions()
        if isGraceful { options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: test.longestRun)] }
        var changes: [Environment.Key: String?] = ["SWIFT_BACKTRACE": "enable=no"]
        // Any order: they are different variables.
        for (name, value) in test.environment.merging(variables, uniquingKeysWith: { $1 }) {
            guard let key = Environment.Key(rawValue: name) else { continue }
            changes[key] = value
        }
        let name = test.executable
        return try await Subprocess.run(
            name.contains("/") ? .path(FilePath(name)) : .name(name),
            arguments: Arguments(test.arguments),
            environment: .inherit.updating(changes),
            workingDirectory: test.workingDirectory.map { FilePath($0) },
            platformOptions: options,
            output: .fileDescriptor(try open("output"), closeAfterSpawningProcess: true),
            error: .fileDescriptor(try open("errors"), closeAfterSpawningProcess: true)
        ).terminationStatus
    }

    private func open(_ name: String) throws -> FileDescriptor {
        try .open(
            FilePath("\(folder.path)/\(name)"),
            .writeOnly,
            options: [.create, .truncate],
            permissions: .ownerReadWrite
        )
    }

    /// A run that nobody killed must have ended with 0.
    func expectEnd(_ run: Run, number: Int) throws(CrashTestError) {
        let said = Self.text("\(folder.path)/errors").last
        let words = said.isEmpty ? "" : "; it said: \(said)"
        switch run.status {
        case .exited(0): return
        case _ where run.isLate && run.isKilled:
            throw test.error(.tookTooLong, "run \(number) was not at its end after \(run.time)\(words)")
        case .exited(let code): throw test.error(.failed, "run \(number) ended with exit code \(code)\(words)")
        case .signaled(let signal): throw test.error(.failed, "run \(number) ended by signal \(signal)\(words)")
        }
    }

    /// The beginning and the end of a file.
    private static func text(_ path: String) -> (first: String, last: String) {
        guard let file = try? ReadFile(path) else { return ("", "") }
        var (first, last): ([UInt8], [UInt8]) = ([], [])
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while let count = try? file.read(into: &piece), count > 0 {
            first += piece[..<min(count, keptOutput - first.count)]
            last = (last + piece[..<count]).suffix(keptErrors)
        }
        return (String(decoding: first, as: UTF8.self), String(decoding: last, as: UTF8.self))
    }
}
