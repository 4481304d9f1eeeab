/// Kills a program again and again, as by `kill -9`, has it begin anew on the files that the last one left, lets it run to
/// its end, and then has you check what came of it all.
///
/// ```swift
/// var test = CrashTest(executable: ".build/debug/billing", arguments: ["--state", folder])
/// test.seed = 42
/// try await test.run { end in
///     #expect(try end.effects(in: "\(folder)/charges").allSatisfy { $0.value == 1 }, "seed \(end.seed)")
/// }
/// ```
///
/// The program finds its work by itself, such as in a file or a broker of its own, and ends with exit code 0 when nothing
/// is left to do (or is a server: see ``ending``). It runs in a process group of its own, and all that it has started and
/// that is in the group still dies with it, however it ends. A process that dies is no power cut: what it had written is
/// there.
public struct CrashTest: Sendable {
    /// How a program that nobody kills comes to its end.
    public enum Ending: Hashable, Sendable {
        /// It exits with 0 when its work is done.
        case byItself
        /// It is a server: it is sent SIGTERM after this time, within which all work must be done, and exits with 0 then.
        case terminated(after: Duration)
    }

    /// The program: a path if it has a slash, else a name to be looked for as a shell would.
    public var executable: String
    /// Its arguments, the same for each run.
    public var arguments: [String]
    /// What is added to the environment of the test: names without `=`, neither names nor values with a zero byte.
    /// Default: nothing. Without a `SWIFT_BACKTRACE` here a program that
    /// traps prints no backtrace: that takes seconds, and leaves no room for the words before it.
    public var environment: [String: String] = [:]
    /// The folder it runs in. Default: nil, the test's own.
    public var workingDirectory: String?
    /// How much is kept of what a run writes to its standard output, in bytes, 0 to 1 GiB: the beginning. All of it is
    /// read, and ``CrashTestEnd/droppedOutput`` is what was not kept. Default: 1 MiB.
    public var maximumOutput = 1 << 20
    /// How often it is killed, 0 to 100,000. Default: 20.
    public var kills = 20
    /// What decides the moments and the points. The machine decides what a program has done by then: the same seed makes
    /// the same plan, not the same run. Default: 1.
    public var seed: UInt64 = 1
    /// Named places at which every other death is to happen, of a program that was built with the package trait
    /// `CrashPoints`: Sources/LMDB/CrashPoint.swift lists them. A test in which none of the deaths is at one of them
    /// fails. Default: none.
    public var points: [String] = []
    /// The death is at the first to so-manieth time that the place is reached, 1 or more. Default: 20.
    public var maximumVisits = 20
    /// How long a run may take, above 0; kills come within it. Default: 60 s.
    public var longestRun: Duration = .seconds(60)
    /// How the last run ends. Default: by itself.
    public var ending = Ending.byItself
    /// What the moments are measured by.
    public var clock: any Clock<Duration> = ContinuousClock()

    /// A test of a program.
    public init(executable: String, arguments: [String] = []) {
        self.executable = executable
        self.arguments = arguments
    }

    /// A test of an executable of the package whose tests these are: it is looked for beside them, where `swift build`
    /// puts it. Let the test target depend on it, or it may be an old one.
    public init(product: String, arguments: [String] = []) {
        let tests = CommandLine.arguments[0]
        let folder = tests.lastIndex(of: "/").map { String(tests[...$0]) } ?? "./"
        self.init(executable: folder + product, arguments: arguments)
    }

    /// Kills the program until it has died as often as asked, runs it once more to its end, and calls `check`. Returns
    /// what it was given.
    ///
    /// Kills come later and later, as long as the program does not end before: a run that ends by itself makes the next
    /// kill come earlier. Throws ``CrashTestError``, with the last of what the program said. When the task is cancelled,
    /// a process that runs is killed.
    @discardableResult
    public func run(
        check: (CrashTestEnd) async throws -> Void = { _ in }
    ) async throws(CrashTestError) -> CrashTestEnd {
        try validate()
        let program = Program(self)
        var plan = KillPlan(self)
        var deaths: [CrashTestEnd.Death] = []
        while let attempt = plan.next() {
            let run = try await program.run(limit: attempt.limit, variables: attempt.variables, clock: clock)
            if isDeath(run, by: attempt) {
                deaths.append(.init(run: plan.runs, time: run.time, point: run.isLate ? nil : attempt.point))
                plan.killed()
            } else {
                try program.expectEnd(run, number: plan.runs)
                plan.ended(after: run.time)
            }
        }
        guard points.isEmpty || plan.runs < 2 || deaths.contains(where: { $0.point != nil }) else {
            throw error(
                .pointsNotReached,
                "of \(plan.runs) runs none died at one of \(points): build it with the package trait CrashPoints, name "
                    + "places that it comes to, and not more maximumVisits than it pays them"
            )
        }
        guard deaths.count == kills else {
            throw error(.tooFewKills, "of \(plan.runs) runs only \(deaths.count) could be killed: give each more to do")
        }
        let last = try await end(program, plan.runs + 1)
        let output = last.words.output
        let end = CrashTestEnd(
            seed: seed,
            deaths: deaths,
            runs: plan.runs + 1,
            output: output.text,
            droppedOutput: output.dropped,
            time: last.time
        )
        do { try await check(end) } catch {
            throw CrashTestError(.checkFailed, "\(error), after \(deaths.count) deaths", seed: seed, cause: error)
        }
        return end
    }

    /// Whether it died of the test, and not by somebody else's hand.
    private func isDeath(_ run: Program.Run, by attempt: KillPlan.Attempt) -> Bool {
        guard run.isKilled else { return false }
        guard attempt.point != nil else { return run.isLate }
        // A server that never comes to a place runs until it is killed.
        return !run.isLate || ending != .byItself
    }

    private func end(_ program: Program, _ number: Int) async throws(CrashTestError) -> Program.Run {
        switch ending {
        case .byItself:
            let run = try await program.run(limit: longestRun, variables: [:], clock: clock)
            try program.expectEnd(run, number: number)
            return run
        case .terminated(let time):
            let run = try await program.run(limit: time, variables: [:], clock: clock, isGraceful: true)
            try program.expectEnd(run, number: number)
            return run
        }
    }

    private func validate() throws(CrashTestError) {
        guard (0...100_000).contains(kills) else { throw error(.invalid, "kills is 0 to 100,000, not \(kills)") }
        guard maximumVisits > 0 else { throw error(.invalid, "maximumVisits is 1 or more, not \(maximumVisits)") }
        guard longestRun > .zero else { throw error(.invalid, "longestRun is above 0, not \(longestRun)") }
        guard (0...1 << 30).contains(maximumOutput) else {
            throw error(.invalid, "maximumOutput is 0 to 1 GiB, not \(maximumOutput) bytes")
        }
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) {
            guard !name.isEmpty, !name.contains("="), !name.contains("\0"), !value.contains("\0") else {
                throw error(.invalid, "the environment cannot have \(name.debugDescription): \(value.debugDescription)")
            }
        }
    }

    func error(_ code: CrashTestError.Code, _ detail: String) -> CrashTestError {
        CrashTestError(code, "\(executable): \(detail)", seed: seed)
    }
}
