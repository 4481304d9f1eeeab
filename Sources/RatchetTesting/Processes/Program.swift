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
        let words: Words
        var isKilled: Bool { status == .signaled(9) }
    }

    /// What a run has written.
    struct Words: Sendable {
        var output: KeptOutput
        var errors: KeptOutput
    }

    private struct End: Sendable {
        let status: TerminationStatus
        let words: Words
    }

    private static let keptErrors = 2_000

    private let test: CrashTest

    init(_ test: CrashTest) { self.test = test }

    /// Runs it once. After `limit` it is killed, or, if `isGraceful`, asked to end and killed after the longest time.
    func run(
        limit: Duration,
        variables: [String: String],
        clock: some Clock<Duration>,
        isGraceful: Bool = false
    ) async throws(CrashTestError) -> Run {
        let start = clock.now
        var ended: Result<End, any Error>?
        var isLate = false
        let processes = ProcessGroup()
        await withTaskGroup(of: Result<End, any Error>?.self) { group in
            group.addTask {
                let request = isGraceful ? limit : nil
                do { return .success(try await process(variables, clock, request: request, in: processes)) } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                // Cancelled when the program ends first.
                do { try await clock.sleep(for: isGraceful ? limit + test.longestRun : limit) } catch {}
                return nil
            }
            for await result in group {
                if let result { ended = result } else { isLate = ended == nil }
                // Before its pipes are closed, which it could notice before it is dead.
                processes.end()
                group.cancelAll()
            }
        }
        if Task.isCancelled { throw test.error(.cancelled, "the test was cancelled") }
        let time = start.duration(to: clock.now)
        switch ended {
        case .success(let end): return Run(status: end.status, time: time, isLate: isLate, words: end.words)
        // Killed before it was there.
        case .failure(is CancellationError) where isLate:
            return Run(status: .signaled(9), time: time, isLate: true, words: silence)
        case .failure(let error): throw test.error(.cannotStart, "\(error)")
        case nil: preconditionFailure("a group waits for its tasks")
        }
    }

    private var silence: Words {
        Words(output: .init(first: test.maximumOutput), errors: .init(last: Self.keptErrors))
    }

    /// Returns when it has ended, and kills then what it has started. It is asked to end after `request`.
    private func process(
        _ variables: [String: String],
        _ clock: some Clock<Duration>,
        request: Duration?,
        in processes: ProcessGroup
    ) async throws -> End {
        let name = test.executable
        let result = try await Subprocess.run(
            name.contains("/") ? .path(FilePath(name)) : .name(name),
            arguments: Arguments(test.arguments),
            environment: .inherit.updating(changes(variables)),
            workingDirectory: test.workingDirectory.map { FilePath($0) },
            platformOptions: Self.options,
            input: .none,
            output: .sequence,
            error: .sequence
        ) { execution in
            processes.began(execution.processIdentifier.value)
            async let output = silence.output.reading(execution.standardOutput)
            async let errors = silence.errors.reading(execution.standardError)
            // Also when it has closed its outputs, which looks like its end.
            if let request, (try? await clock.sleep(for: request)) != nil { try? execution.send(signal: .terminate) }
            return Words(output: try await output, errors: try await errors)
        }
        processes.end()
        return End(status: result.terminationStatus, words: result.closureResult)
    }

    private static var options: PlatformOptions {
        var options = PlatformOptions()
        // A group of its own, which is killed as one.
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .seconds(1))
        ]
        return options
    }

    private func changes(_ variables: [String: String]) -> [Environment.Key: String?] {
        var changes: [Environment.Key: String?] = ["SWIFT_BACKTRACE": "enable=no"]
        // Any order: they are different variables.
        for (name, value) in test.environment.merging(variables, uniquingKeysWith: { $1 }) {
            changes[Environment.Key(stringLiteral: name)] = value
        }
        return changes
    }

    /// A run that nobody killed must have ended with 0.
    func expectEnd(_ run: Run, number: Int) throws(CrashTestError) {
        let said = run.words.errors
        let part = said.dropped > 0 ? " (the last \(Self.keptErrors) of \(said.written) bytes)" : ""
        let words = said.written == 0 ? "" : "; it said\(part): \(said.text)"
        switch run.status {
        case .exited(0): return
        case _ where run.isLate && run.isKilled:
            throw test.error(.tookTooLong, "run \(number) was not at its end after \(run.time)\(words)")
        case _ where run.isKilled:
            throw test.error(.failed, "run \(number) was killed, and not by the test\(words)")
        case .exited(let code): throw test.error(.failed, "run \(number) ended with exit code \(code)\(words)")
        case .signaled(let signal): throw test.error(.failed, "run \(number) ended by signal \(signal)\(words)")
        }
    }
}
