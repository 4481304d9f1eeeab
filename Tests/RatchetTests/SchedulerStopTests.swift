import Testing

@testable import Ratchet

@Suite("Scheduler: when the pipeline is to stop")
struct SchedulerStopTests {
    private struct Failure: Error {}

    private static func scheduler(
        _ execution: Scheduler.Execution,
        keys: [String],
        pieceMessages: Int = 100,
        deliveries: Int32? = nil
    ) throws -> (scheduler: Scheduler, lease: PartitionLease) {
        let limits = Scheduler.Limits(
            partitionMessages: 100,
            messages: 100,
            bytes: 1 << 20,
            pieceMessages: pieceMessages,
            pieces: 4
        )
        var scheduler = Scheduler(execution: execution, ordering: .key, limits: limits)
        let position = PartitionPosition(key: [], tracker: OffsetTracker(watermark: 0), generation: 1, isKnown: true)
        let lease = PartitionLease(
            partition: TopicPartition("orders", 0),
            generation: 1,
            slot: scheduler.reserveSlot(),
            position: position
        )
        scheduler.add(lease)
        let samples = keys.enumerated().map { SampleMessage(Int64($0.offset), key: $0.element) }
        let payloads = Payloads<Int>([])
        let batch = KeyedBatch(
            messages: try MessageBatch(samples, deliveries: deliveries),
            lease: lease,
            payloads: payloads,
            keys: [],
            keyEnds: [],
            fingerprints: [],
            faults: [:]
        )
        scheduler.admit(batch, 0..<samples.count)
        return (scheduler, lease)
    }

    @Test("What follows the message that stops is let go, in the same piece and in later ones")
    func stoppedInTheWriter() throws {
        var (scheduler, lease) = try Self.scheduler(.inWriter, keys: ["a", "a", "b", "a"], pieceMessages: 3)
        let oldest = scheduler.takePiece()
        let first = try #require(oldest)
        let newest = scheduler.takePiece()
        let second = try #require(newest)
        let outcomes: [SettlementOutcome] = [.stopped(Failure()), .deferred, .processed]
        scheduler.returned(piece: first.number, ReturnedMessages(first.entries, outcomes)) { _ in 0 }
        scheduler.returned(piece: second.number, ReturnedMessages(second.entries, [.deferred])) { _ in 0 }
        #expect(scheduler.inFlight == 0)
        scheduler.drain(slot: lease.slot)
        let actions = scheduler.takeActions()
        #expect(actions == [.pause(.orders), .drained(slot: lease.slot)])
    }

    @Test("A handler that stops leaves nothing in flight, and nothing behind it in its lane runs")
    func stoppedInATask() throws {
        var (scheduler, lease) = try Self.scheduler(.inTasks, keys: ["a", "a", "b"])
        let oldest = scheduler.start()
        let first = try #require(oldest)
        scheduler.stopped(first)
        let ready = scheduler.start()
        let other = try #require(ready)
        #expect(other.offset == 2)
        let next = scheduler.start()
        #expect(next == nil)
        scheduler.drain(slot: lease.slot)
        let early = scheduler.takeActions()
        #expect(early == [.pause(.orders)])
        scheduler.finished(other)
        let settling = scheduler.takePiece()
        let piece = try #require(settling)
        scheduler.returned(piece: piece.number, ReturnedMessages(piece.entries, [.processed])) { _ in 0 }
        let actions = scheduler.takeActions()
        #expect(actions == [.drained(slot: lease.slot)])
    }

    @Test("A piece that was not written leaves nothing in flight")
    func failedPiece() throws {
        var (scheduler, lease) = try Self.scheduler(.inWriter, keys: ["a", "b", "a"], pieceMessages: 2)
        let oldest = scheduler.takePiece()
        let first = try #require(oldest)
        let newest = scheduler.takePiece()
        let second = try #require(newest)
        scheduler.drain(slot: lease.slot)
        scheduler.failed(piece: first.number, entries: first.entries)
        let early = scheduler.takeActions()
        #expect(early == [.pause(.orders)])
        scheduler.failed(piece: second.number, entries: second.entries)
        let actions = scheduler.takeActions()
        #expect(actions == [.drained(slot: lease.slot)])
    }

    @Test(
        "A drain names what it lets go of untried, and what of that is behind a message that runs or failed",
        arguments: [1, 3]
    )
    func untried(deliveries: Int32) throws {
        var (scheduler, lease) = try Self.scheduler(
            .inTasks,
            keys: ["a", "b", "a", "c", "b", "c"],
            deliveries: deliveries
        )
        let started = (scheduler.start(), scheduler.start())
        let (running, failing) = (try #require(started.0), try #require(started.1))
        #expect(running.attempt == deliveries)
        scheduler.failed(failing, retryAt: 1_000)
        #expect(scheduler.drain(slot: lease.slot) == Scheduler.Untried(free: [3, 5], behind: [2, 4]))
        #expect(scheduler.drain(slot: lease.slot) == Scheduler.Untried())
        #expect(scheduler.inFlight(slot: lease.slot) == 1)
    }
}
