import LMDB
import Logging
import Ratchet
import Synchronization

@testable import RatchetBroker

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A directory for one test, removed with its last reference.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws { path = try Platform.makeTemporaryDirectory() }

    /// A path in it that does not exist yet.
    var broker: String { "\(path)/broker" }
    /// Another one.
    var other: String { "\(path)/other" }

    deinit {
        for name in ["broker", "copy", "other"] { Platform.removeDirectory("\(path)/\(name)") }
        Platform.removeDirectory(path)
    }
}

/// A clock that moves when the test says so; whoever sleeps is woken by that alone.
final class ManualClock: Clock, Sendable {
    struct Instant: InstantProtocol {
        var offset: Duration
        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (a: Instant, b: Instant) -> Bool { a.offset < b.offset }
    }

    private struct Sleeper {
        let id: Int
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var sleepers: [Sleeper] = []
        var lastID = 0
        var cancelled: Set<Int> = []
        var watchers: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var now: Instant { state.withLock { $0.now } }
    var minimumResolution: Duration { .nanoseconds(1) }

    func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.filter { $0.deadline <= state.now }
            state.sleepers.removeAll { $0.deadline <= state.now }
            return due
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    /// Returns once somebody sleeps.
    func waitForSleeper() async {
        await withCheckedContinuation { continuation in
            let sleeps = state.withLock { state in
                if state.sleepers.isEmpty { state.watchers.append(continuation) }
                return !state.sleepers.isEmpty
            }
            if sleeps { continuation.resume() }
        }
    }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let watchers = state.withLock { state -> [CheckedContinuation<Void, Never>]? in
                    if state.cancelled.contains(id) { return nil }
                    state.sleepers.append(Sleeper(id: id, deadline: deadline, continuation: continuation))
                    defer { state.watchers = [] }
                    return state.watchers
                }
                guard let watchers else { return continuation.resume(throwing: CancellationError()) }
                for watcher in watchers { watcher.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                state.cancelled.insert(id)
                guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else { return nil }
                return state.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }
}

/// A time of day that the test sets.
final class ManualWallClock: Sendable {
    private let milliseconds = Mutex<Int64>(1_000_000)

    var read: @Sendable () -> Int64 { { self.milliseconds.withLock { $0 } } }
    /// As a clock that never goes back, in nanoseconds.
    var monotonic: @Sendable () -> Int64 { { self.milliseconds.withLock { $0 * 1_000_000 } } }

    func advance(by duration: Duration) { milliseconds.withLock { $0 += duration.milliseconds } }
}

extension Broker.Configuration {
    static var quiet: Self {
        var configuration = Self()
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        configuration.maximumBytes = 1 << 30
        return configuration
    }
}

extension Ledger.Configuration {
    /// As many are open at once as tests run: the default's map takes a share of all addresses that a process has, or that a
    /// sanitizer leaves to it.
    static var small: Self {
        var configuration = Self()
        (configuration.mapSize, configuration.quota) = (1 << 30, 1 << 30)
        return configuration
    }
}

extension OutgoingMessage {
    static func text(_ text: String, to topic: String, key: String? = nil, partition: Int? = nil) -> OutgoingMessage {
        OutgoingMessage(to: topic, key: key, payload: Array(text.utf8), partition: partition)
    }
}

struct Unexpected: Error, CustomStringConvertible {
    let description: String
    init(_ event: SourceEvent) { description = "unexpected \(event)" }
}

extension SourceSession {
    func nextAssigned() async throws -> [Assignment] {
        let event = try await next()
        guard case .assigned(let assignments) = event else { throw Unexpected(event) }
        return assignments
    }

    func nextMessages() async throws -> MessageBatch {
        let event = try await next()
        guard case .messages(let batch) = event else { throw Unexpected(event) }
        return batch
    }

    func nextGap() async throws -> OffsetGap {
        let event = try await next()
        guard case .outOfRange(let gap) = event else { throw Unexpected(event) }
        return gap
    }

    func nextRevoking() async throws -> [TopicPartition] {
        let event = try await next()
        guard case .revoking(let partitions, _) = event else { throw Unexpected(event) }
        return partitions
    }

    func nextLost() async throws -> [TopicPartition] {
        let event = try await next()
        guard case .lost(let partitions) = event else { throw Unexpected(event) }
        return partitions
    }

    /// Starts each where the group was, or else at the log's start.
    func start(_ assignments: [Assignment]) async throws {
        for assignment in assignments {
            let offset = assignment.committed?.offset ?? assignment.log.lowerBound
            try await start(assignment.partition, at: offset, generation: assignment.generation)
        }
    }
}

extension MessageBatch {
    var texts: [String] { (0..<count).map { self[$0].text } }
}

extension Broker {
    /// Everything a partition holds.
    func texts(_ partition: TopicPartition) async throws -> [String] {
        var texts: [String] = []
        for try await batch in try read(partition) { texts += batch.texts }
        return texts
    }
}

/// Blocks a thread that is not the tests' own until it is opened.
final class Gate: @unchecked Sendable {
    private var semaphore = sem_t()

    init() { sem_init(&semaphore, 0, 0) }

    deinit { sem_destroy(&semaphore) }

    func wait() { sem_wait(&semaphore) }

    func open() { sem_post(&semaphore) }
}

extension Storage {
    /// Returns once the writer waits for the gate: what is submitted meanwhile goes into one transaction.
    func blocked() async -> Gate {
        let (gate, begun) = (Gate(), Notes<Bool>())
        submit(
            WriteJob(byteCount: 0, reclaims: false) { _ in
                begun.add(true)
                gate.wait()
            } done: { _ in
            }
        )
        while begun.all.isEmpty { await Task.yield() }
        return gate
    }
}

/// Undoes the transaction that it is in, as a map without room does.
final class FailingPiece: WritePiece {
    let byteCount = 0
    let reclaims = true
    let failsAlone = false

    func write(in transaction: borrowing WriteTransaction) throws {
        throw LMDBError(.mapFull, operation: "commit", path: "here", detail: "for a test")
    }

    func completed(_ result: Result<Void, any Error>) {}
}

/// What tasks have noted, in order.
final class Notes<Note: Sendable>: Sendable {
    private let notes = Mutex<[Note]>([])

    var all: [Note] { notes.withLock { $0 } }

    func add(_ note: Note) { notes.withLock { $0.append(note) } }
}

/// Files that others change.
enum TestFile {
    /// Overwrites the beginning of a file that is there.
    static func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        struct Failed: Error { let path: String }
        guard let file = fopen(path, "r+") else { throw Failed(path: path) }
        defer { fclose(file) }
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Failed(path: path) }
    }
}

/// What was logged, in order.
final class LoggedLines: Sendable {
    private let lines = Notes<(level: Logger.Level, text: String)>()

    var logger: Logger { Logger(label: "test") { _ in Handler(lines: self.lines) } }
    var warnings: [String] { texts(.warning) }
    var errors: [String] { texts(.error) }

    private func texts(_ level: Logger.Level) -> [String] { lines.all.filter { $0.level == level }.map(\.text) }

    private struct Handler: LogHandler {
        let lines: Notes<(level: Logger.Level, text: String)>
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { lines.add((event.level, "\(event.message) \(event.metadata ?? [:])")) }
    }
}
