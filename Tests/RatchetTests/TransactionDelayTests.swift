import Testing

@testable import Ratchet

@Suite("Pipeline: messages of transactional handlers wait for company", .timeLimit(.minutes(30)))
struct TransactionDelayTests {
    /// A scheduler whose messages are worth a piece of their own from 10 on, and a burst from 4 on.
    private struct Setting {
        var scheduler: Scheduler
        private let lease: PartitionLease
        private var next: Int64 = 0

        init(bytes: Int = 1 << 20) {
            let limits = Scheduler.Limits(
                partitionMessages: 40,
                messages: 1_000,
                bytes: bytes,
                pieceMessages: 100,
                pieces: 2,
                linger: 10,
                burst: 4
            )
            scheduler = Scheduler(execution: .inWriter, ordering: .key, limits: limits)
            let tracker = OffsetTracker(watermark: 0)
            lease = PartitionLease(
                partition: .orders,
                generation: 1,
                slot: scheduler.reserveSlot(),
                position: PartitionPosition(key: [], tracker: tracker, generation: 1, isKnown: true)
            )
            scheduler.add(lease)
        }

        mutating func come(_ count: Int64, at time: Int64) throws {
            let samples = (next..<next + count).map { SampleMessage($0, key: "k\($0)") }
            next += count
            scheduler.observe(time)
            let batch = KeyedBatch(
                messages: try MessageBatch(samples),
                lease: lease,
                payloads: Payloads<Int>([]),
                keys: [],
                keyEnds: [],
                fingerprints: [],
                faults: [:]
            )
            scheduler.admit(batch, 0..<samples.count)
        }

        /// What goes to the ledger at a time; nil for nothing.
        mutating func take(at time: Int64) -> (number: Int, entries: [SettlementEntry])? {
            scheduler.observe(time)
            return scheduler.takePiece()
        }

        mutating func settle(_ piece: (number: Int, entries: [SettlementEntry])) {
            let outcomes = piece.entries.map { _ in SettlementOutcome.processed }
            scheduler.returned(piece: piece.number, ReturnedMessages(piece.entries, outcomes)) { _ in 0 }
        }

        /// So many have come, and the ledger has them.
        mutating func settle(_ count: Int64, at time: Int64) throws {
            try come(count, at: time)
            let taken = take(at: time)
            settle(try #require(taken))
        }
    }

    @Test("After a burst, what finds the ledger idle waits until there is enough, and goes at once")
    func enough() throws {
        var setting = Setting()
        try setting.settle(4, at: 0)
        try setting.come(9, at: 0)
        #expect(!setting.scheduler.hasPiece)
        #expect(setting.scheduler.nextDue == 5)
        try setting.come(1, at: 0)
        #expect(setting.scheduler.nextDue == nil)
        #expect(setting.take(at: 0)?.entries.count == 10)
    }

    @Test("It waits for the delay at the most, though more comes all the time")
    func atMost() throws {
        var setting = Setting()
        try setting.settle(4, at: 0)
        for time in Int64(0)..<9 {
            try setting.come(1, at: time)
            #expect(setting.take(at: time) == nil)
            #expect(setting.scheduler.nextDue == min(time + 5, 10))
        }
        #expect(setting.take(at: 10)?.entries.count == 9)
    }

    @Test("Nothing comes for half of the delay: it goes")
    func pause() throws {
        var setting = Setting()
        try setting.settle(4, at: 0)
        try setting.come(1, at: 0)
        try setting.come(1, at: 3)
        #expect(setting.take(at: 7) == nil)
        #expect(setting.take(at: 8)?.entries.count == 2)
    }

    @Test("What comes later than half of the delay behind the others waits for nobody")
    func late() throws {
        var setting = Setting()
        try setting.settle(4, at: 0)
        try setting.settle(1, at: 6)
        // The time was over before the second came, though nobody had looked.
        try setting.settle(4, at: 10)
        try setting.come(1, at: 10)
        try setting.come(1, at: 16)
        #expect(setting.take(at: 16)?.entries.count == 2)
    }

    @Test("After few it waits for nobody")
    func few() throws {
        var setting = Setting()
        for time in Int64(0)..<5 { try setting.settle(3, at: time) }
        // A burst, as long as the ledger is never idle.
        try setting.come(3, at: 6)
        let first = setting.take(at: 6)
        try setting.come(1, at: 6)
        let second = setting.take(at: 6)
        setting.settle(try #require(first))
        setting.settle(try #require(second))
        try setting.come(1, at: 6)
        #expect(setting.take(at: 10) == nil)
        #expect(setting.take(at: 11)?.entries.count == 1)
    }

    @Test("While the ledger is busy with others it waits for nobody")
    func busy() throws {
        var setting = Setting()
        try setting.settle(4, at: 0)
        try setting.come(10, at: 0)
        let first = setting.take(at: 0)
        try setting.come(1, at: 0)
        #expect(setting.take(at: 0)?.entries.count == 1)
        #expect(first?.entries.count == 10)
    }

    @Test("When nothing more is taken in it waits for nobody")
    func full() throws {
        var outbox = Setting()
        try outbox.settle(4, at: 0)
        try outbox.come(9, at: 0)
        #expect(!outbox.scheduler.hasPiece)
        outbox.scheduler.setFull(true)
        #expect(outbox.take(at: 0)?.entries.count == 9)
        var byBytes = Setting(bytes: 1)
        try byBytes.settle(4, at: 0)
        try byBytes.come(1, at: 0)
        #expect(byBytes.take(at: 0)?.entries.count == 1)
    }

    @Test("A message alone, behind a burst, is settled when half of the delay is over")
    func pipeline() async throws {
        let time = ManualTime()
        let source = ScriptedSource()
        var settings = Ledger.Configuration.quick
        settings.time = time.source
        let bench = try PipelineBench(settings)
        var configuration = PipelineBench.configuration
        configuration.clock = time.clock
        configuration.transactionDelay = .milliseconds(20)
        let gate = Gate()
        let pipeline = bench.pipeline(source, .transactional, configuration: configuration) { message, _ in
            if message.offset == 0 { gate.wait() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            let samples = (0..<302).map { SampleMessage($0, key: "k\($0)", id: "id\($0)") }
            try source.deliver(Array(samples[..<300]))
            // All are taken in before the first is done: the ledger has not been idle since.
            try source.deliver([samples[300]])
            await source.untilHeard()
            gate.open()
            await pipeline.settled(through: [.orders: 301])
            try source.deliver([samples[301]])
            await time.untilSleeping(milliseconds: 10)
            let early = try await bench.watermark()
            #expect(early == 301)
            time.advance(milliseconds: 10)
            await pipeline.settled(through: [.orders: 302])
        }
        #expect(error == nil)
    }

    @Test("A source with a limit of its own is not paused at the pipeline's")
    func limitOfTheSource() async throws {
        for (limit, isPaused) in [(8, false), (nil, true)] {
            let source = ScriptedSource(inFlightLimit: limit)
            let bench = try PipelineBench()
            var configuration = PipelineBench.configuration
            configuration.partitionInFlight = 2
            let pipeline = bench.pipeline(source, .transactional, configuration: configuration)
            let error = try await bench.run(pipeline, source) {
                await source.assign()
                try source.deliver((0..<8).map { SampleMessage($0, key: "k\($0)", id: "id\($0)") })
                await pipeline.settled(through: [.orders: 8])
                #expect(source.calls.contains(.pause(.orders)) == isPaused)
            }
            #expect(error == nil)
        }
    }
}
