import Ratchet
import Testing

@testable import RatchetTesting

@Suite("A program that is killed again and again", .timeLimit(.minutes(30)))
struct CrashTestTests {
    struct Twice: Error {}

    /// A program for a shell, in a folder of its own.
    private static func shell(_ script: String, in scratch: Scratch) -> CrashTest {
        var test = CrashTest(executable: "sh", arguments: ["-c", script])
        test.workingDirectory = scratch.folder
        return test
    }

    /// A server that has an effect for one number after the other and then, a moment later, notes how far it is: the
    /// classical mistake. Its work has no end, so that a busy machine kills it as often as an idle one.
    private static let naive = """
        trap 'exit 0' TERM
        at=$(cat position 2>/dev/null || echo 0)
        while :; do
            at=$((at + 1))
            echo $at >> effects
            sleep 0.005
            echo $at > new && mv new position
        done
        """

    private static func lines(_ name: String, in scratch: Scratch) throws -> [Substring] {
        String(decoding: try scratch.read(name), as: UTF8.self).split(separator: "\n")
    }

    @Test("A program that has its effect before it notes it is caught, with its seed and the check's own error")
    func naiveCaught() async throws {
        let scratch = try Scratch()
        var test = Self.shell(Self.naive, in: scratch)
        // It has as long to end once it was asked to, on a machine that is busy with other tests.
        (test.seed, test.longestRun, test.ending) = (7, .seconds(4), .terminated(after: .seconds(2)))
        let error = await #expect(throws: CrashTestError.self) {
            try await test.run { end in
                #expect(end.deaths.count == 20 && end.runs == 21)
                let effects = try Self.lines("effects", in: scratch)
                if effects.count != Set(effects).count { throw Twice() }
            }
        }
        #expect(
            error?.code == .checkFailed && error?.cause is Twice && error?.seed == 7,
            "\(String(describing: error))"
        )
        #expect(error?.description.contains("20 deaths; seed 7") == true)
    }

    @Test("Every other death is at a named place, by the environment")
    func points() async throws {
        let scratch = try Scratch()
        var test = Self.shell(
            "[ -z \"$RATCHET_CRASH_AT\" ] || { echo $RATCHET_CRASH_AT >> places; kill -9 $$; }; echo $GREETING",
            in: scratch
        )
        (test.points, test.maximumVisits, test.kills) = (["here", "there"], 3, 12)
        test.environment = ["GREETING": "hello"]
        let end = try await test.run()
        let places = end.deaths.compactMap(\.point)
        #expect(places.count >= 6 && end.deaths.count == 12)
        #expect(try Self.lines("places", in: scratch).map(String.init) == places)
        let all = ["here:1", "here:2", "here:3", "there:1", "there:2", "there:3"]
        #expect(places.allSatisfy(all.contains) && Set(places).count > 2)
        #expect(end.output == "hello\n")
    }

    @Test("A program that was not built to die at places is told, whether it ends by itself or is a server")
    func noPoints() async throws {
        for ending in [CrashTest.Ending.byItself, .terminated(after: .milliseconds(200))] {
            let scratch = try Scratch()
            let loop =
                ending == .byItself ? "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.02; done" : "while :; do sleep 0.01; done"
            var test = Self.shell("trap 'exit 0' TERM; " + loop, in: scratch)
            (test.points, test.kills, test.ending) = (["broker.written"], 4, ending)
            if ending != .byItself { test.longestRun = .seconds(2) }
            let error = await #expect(throws: CrashTestError.self) { try await test.run() }
            #expect(error?.code == .pointsNotReached, "\(String(describing: error))")
            #expect(error?.detail.contains("CrashPoints") == true)
        }
    }

    @Test("A program that fails is told with its exit code and its last words")
    func failing() async throws {
        let scratch = try Scratch()
        var test = Self.shell("echo no such table >&2; exit 3", in: scratch)
        test.kills = 0
        let error = await #expect(throws: CrashTestError.self) { try await test.run() }
        #expect(error?.code == .failed)
        #expect(error?.detail == "sh: run 1 ended with exit code 3; it said: no such table\n")
    }

    @Test("The last words of a program that traps are its message, not a backtrace, unless one is asked for")
    func trapping() async throws {
        let scratch = try Scratch()
        var test = Self.shell("echo no such table, $SWIFT_BACKTRACE >&2; kill -ILL $$", in: scratch)
        test.kills = 0
        var error = await #expect(throws: CrashTestError.self) { try await test.run() }
        #expect(error?.detail == "sh: run 1 ended by signal 4; it said: no such table, enable=no\n")
        test.environment["SWIFT_BACKTRACE"] = "enable=yes"
        error = await #expect(throws: CrashTestError.self) { try await test.run() }
        #expect(error?.detail.hasSuffix("it said: no such table, enable=yes\n") == true)
    }

    @Test("A program that hangs is ended; one that is not there, and settings out of bounds, are told")
    func wrong() async throws {
        let scratch = try Scratch()
        var hanging = Self.shell("exec sleep 1000", in: scratch)
        (hanging.kills, hanging.longestRun) = (0, .milliseconds(100))
        #expect(await #expect(throws: CrashTestError.self) { try await hanging.run() }?.code == .tookTooLong)
        let absent = CrashTest(executable: "/there/is/none")
        #expect(await #expect(throws: CrashTestError.self) { try await absent.run() }?.code == .cannotStart)
        var negative = absent
        negative.kills = -1
        #expect(await #expect(throws: CrashTestError.self) { try await negative.run() }?.code == .invalid)
    }

    @Test("A server is asked to end, and its good end counts")
    func server() async throws {
        let scratch = try Scratch()
        var test = Self.shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done", in: scratch)
        (test.kills, test.ending) = (3, .terminated(after: .seconds(2)))
        let end = try await test.run()
        #expect(end.output == "up\nbye\n")
        #expect(end.deaths.count == 3)
    }

    @Test("What the program has started dies with it, however it ends")
    func children() async throws {
        let scratch = try Scratch()
        let pipe = try NamedPipe(at: scratch.path("pipe"))
        var test = Self.shell(
            "(echo started; sleep 600; echo alive) > pipe & trap 'exit 0' TERM; while :; do sleep 0.01; done",
            in: scratch
        )
        (test.kills, test.ending) = (5, .terminated(after: .seconds(2)))
        try await test.run()
        // It ends when nobody can write to it any more: a child that lived on would be waited for.
        let said = pipe.readToEnd()
        #expect(said.contains("started") && !said.contains("alive"))
    }

    @Test("A program that somebody else kills has not died by the test")
    func killedByOthers() async throws {
        let scratch = try Scratch()
        let error = await #expect(throws: CrashTestError.self) {
            try await Self.shell("echo last words >&2; kill -9 $$", in: scratch).run()
        }
        #expect(error?.code == .failed)
        #expect(error?.detail.hasSuffix("was killed, and not by the test; it said: last words\n") == true)
    }

    @Test("What cannot be a variable of an environment is refused and not left out")
    func environment() async throws {
        for (name, value) in [("", "a"), ("A=B", "a"), ("A\0B", "a"), ("A", "a\0b")] {
            var test = CrashTest(executable: "true")
            test.environment = [name: value]
            let error = await #expect(throws: CrashTestError.self) { try await test.run() }
            #expect(error?.code == .invalid, "\(String(describing: error))")
        }
    }

    @Test("Of what a program writes a bounded part is kept, and how much is not is told", arguments: [0, 3])
    func outputs(code: Int) async throws {
        let scratch = try Scratch()
        var test = Self.shell(
            "yes a | head -n 100000; yes b | head -n 100000 >&2; echo the end >&2; exit \(code)",
            in: scratch
        )
        (test.kills, test.maximumOutput) = (0, 1000)
        guard code != 0 else {
            let end = try await test.run()
            #expect(end.output == String(repeating: "a\n", count: 500) && end.droppedOutput == 199_000)
            return
        }
        let error = await #expect(throws: CrashTestError.self) { try await test.run() }
        let end = String(repeating: "b\n", count: 996) + "the end\n"
        #expect(error?.detail == "sh: run 1 ended with exit code 3; it said (the last 2000 of 200008 bytes): \(end)")
    }

    @Test("The same seed makes the same plan; a run that ends by itself makes the next kill come earlier")
    func plan() {
        var test = CrashTest(executable: "none")
        (test.kills, test.points, test.seed) = (50, ["here"], 11)
        var plans = [KillPlan(test), KillPlan(test)]
        for number in 1...50 {
            let attempts = plans.indices.map { plans[$0].next() }
            #expect(attempts[0] != nil && attempts[0] == attempts[1])
            guard let attempt = attempts[0] else { break }
            #expect(attempt.limit <= .seconds(60) && (attempt.point == nil) == (number % 2 == 1))
            for index in plans.indices { plans[index].killed() }
        }
        #expect(plans[0].next() == nil)
        var hasty = KillPlan(test)
        for _ in 1...155 {
            _ = hasty.next()
            hasty.ended(after: .milliseconds(3))
        }
        #expect(hasty.next() == nil && hasty.runs == 155)
        var patient = KillPlan(test)
        patient.ended(after: .milliseconds(3))
        let earlier = patient.next()
        #expect(earlier.map { $0.limit < .milliseconds(3) } == true)
    }
}
