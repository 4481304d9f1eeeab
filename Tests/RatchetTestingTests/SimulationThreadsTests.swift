import Dispatch
import Ratchet
import RatchetTesting
import Synchronization
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Simulations beside other tasks", .timeLimit(.minutes(5)))
struct SimulationThreadsTests {
    @TaskLocal private static var word = "none"

    @Test("Bodies that take their threads for good leave other tasks of the process theirs")
    func others() async {
        // One more than the process has threads for its tasks.
        let count = sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 1
        let threads = SimulationThreads(atOnce: count)
        let begun = Asked()
        let mayEnd = DispatchSemaphore(value: 0)
        let ended = await withTaskGroup(of: DispatchTimeoutResult?.self) { group in
            for _ in 0..<count {
                group.addTask {
                    await threads.run {
                        begun.add()
                        return mayEnd.wait(timeout: .now() + 200)
                    }
                }
            }
            group.addTask {
                while begun.count < count { await Task.yield() }
                for _ in 0..<count { mayEnd.signal() }
                return nil
            }
            return await group.reduce(into: 0) { if $1 == .success { $0 += 1 } }
        }
        #expect(ended == count)
    }

    @Test("No more bodies run at once than there are threads, and all have their turn")
    func bounded() async {
        let threads = SimulationThreads(atOnce: 3)
        let running = Running()
        let results = await withTaskGroup(of: Int.self) { group in
            for number in 0..<200 {
                group.addTask {
                    await threads.run {
                        running.begin()
                        sched_yield()
                        running.end()
                        return number
                    }
                }
            }
            return await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        #expect(results.count == 200 && running.most <= 3)
    }

    @Test("A body runs in the task that asks for it, wherever that is isolated to, and its error is thrown there")
    @MainActor func boundToTask() async {
        struct Failure: Error {}
        let threads = SimulationThreads(atOnce: 1)
        await Self.$word.withValue("bound") {
            let found = await threads.run { (Self.word, Self.threadName) }
            #expect(found.0 == "bound" && found.1 == "simulation")
        }
        await #expect(throws: Failure.self) { try await threads.run { () throws(Failure) in throw Failure() } }
    }

    @Test("A handler's simulation has a thread of its own")
    func ownThread() async throws {
        var handler = SimulatedHandler(decoding: .raw) { _, context, world in
            context.onCommit { try world.effect(in: $0) }
        }
        handler.verify = { _ in Self.threadName == "simulation" ? [] : ["it runs on thread '\(Self.threadName)'"] }
        let outcome = try await handler.run(seeds: 1...2)
        #expect(outcome.isSound, "\(outcome.story)")
    }

    @Test("Seeds are run no further once the task is cancelled")
    func cancelled() async {
        let handler = SimulatedHandler(decoding: .raw) { _, context, world in
            context.onCommit { try world.effect(in: $0) }
        }
        let error = await withTaskGroup(of: SimulationError?.self) { group in
            group.addTask {
                do throws(SimulationError) {
                    _ = try await handler.run(seeds: 1...(.max)) { seed in
                        if seed == 2 { withUnsafeCurrentTask { $0?.cancel() } }
                    }
                    return nil
                } catch { return error }
            }
            return await group.next() ?? nil
        }
        #expect(error?.description == "cancelled before seed 3")
    }

    private static var threadName: String {
        #if os(Linux)
            // The C library tells it only to those who ask for its extensions.
            let name = try? Data(contentsOf: URL(filePath: "/proc/thread-self/comm"))
            return String(decoding: name ?? Data(), as: UTF8.self).split(separator: "\n").joined()
        #else
            var name = [CChar](repeating: 0, count: 64)
            pthread_getname_np(pthread_self(), &name, name.count)
            return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #endif
    }
}

/// How many run, and how many have run at once at the most.
private final class Running: Sendable {
    private let state = Mutex((now: 0, most: 0))

    var most: Int { state.withLock { $0.most } }
    func begin() { state.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) } }
    func end() { state.withLock { $0.now -= 1 } }
}
