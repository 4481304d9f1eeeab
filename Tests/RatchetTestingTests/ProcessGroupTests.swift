import Subprocess
import Testing

@testable import RatchetTesting

@Suite("The processes of one run of a program", .timeLimit(.minutes(30)))
struct ProcessGroupTests {
    /// How a program in a group of its own ends, told of when it runs.
    private static func end(_ told: @Sendable @escaping (pid_t) -> Void) async throws -> TerminationStatus {
        var options = PlatformOptions()
        options.processGroupID = 0
        let result = try await Subprocess.run(
            .name("sleep"),
            arguments: ["600"],
            platformOptions: options,
            input: .none,
            output: .discarded,
            error: .discarded
        ) { execution in told(execution.processIdentifier.value) }
        return result.terminationStatus
    }

    @Test("A run whose end comes before it has started is killed all the same, at once")
    func endBeforeStart() async throws {
        let status = try await Self.end { process in
            let group = ProcessGroup()
            group.end()
            group.began(process)
        }
        #expect(status == .signaled(9))
    }

    @Test("A run that has started is killed at its end")
    func endAfterStart() async throws {
        let status = try await Self.end { process in
            let group = ProcessGroup()
            group.began(process)
            group.end()
        }
        #expect(status == .signaled(9))
    }
}
