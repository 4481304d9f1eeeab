import Ratchet
import Testing

@testable import RatchetBroker

@Suite struct DeliveryScheduleTests {
    private static let full = BrokerError(.full, "no room")
    private static let gone = BrokerError(.unknownTopic, "gone")

    private func schedule(
        batches: Int = 5,
        retries: Int = .max,
        messages: Int = 10,
        bytes: Int = 1000
    ) -> DeliverySchedule {
        let delays = RetryPolicy(initialDelay: .milliseconds(100), maximumDelay: .seconds(1), jitter: 0)
        return DeliverySchedule(
            limits: .init(retries: retries, delays: delays, batches: batches, messages: messages, bytes: bytes)
        )
    }

    private func group(_ number: UInt64, messages: Int = 1, deadline: Duration = .seconds(120))
        -> DeliverySchedule.Event
    {
        .add(.init(number: number, messages: messages, bytes: 10 * messages, deadline: deadline))
    }

    private func refused(_ batch: UInt64, _ error: BrokerError = full) -> DeliverySchedule.Event {
        .answered(
            batch,
            .refused(error, isRetriable: error.isRetriable, isUnwritten: BrokerError.isUnwritten(error))
        )
    }

    @Test("What an attempt has left in doubt stays so, whatever the next one is refused with")
    func doubt() {
        let (lost, fenced) = (BrokerError(.timedOut, "no answer"), BrokerError(.fenced, "another has its name"))
        var schedule = schedule(batches: 2)
        _ = schedule.handle(group(1), now: .zero)
        _ = schedule.handle(group(2), now: .zero)
        _ = schedule.handle(refused(1, lost), now: .zero)
        #expect(schedule.handle(refused(2), now: .zero).texts == ["delayed"])
        _ = schedule.handle(.tick, now: .milliseconds(100))
        _ = schedule.handle(refused(1, fenced), now: .milliseconds(100))
        #expect(
            schedule.handle(refused(2, fenced), now: .milliseconds(100)).texts
                == ["failed 1: timed out", "failed 2: fenced"]
        )
    }

    @Test("What comes while the window is full goes out together, within the limits of a batch")
    func batching() {
        var schedule = schedule(batches: 1, messages: 10, bytes: 75)
        #expect(schedule.handle(group(1), now: .zero).texts == ["send 1: 1 from 0"])
        for number in 2...12 as ClosedRange<UInt64> { #expect(schedule.handle(group(number), now: .zero).isEmpty) }
        #expect(
            schedule.handle(.answered(1, .written(offset: 40)), now: .zero).texts
                == ["confirmed 1 at 40", "send 2: 2 3 4 5 6 7 8 from 1"]
        )
        let actions = schedule.handle(.answered(2, .written(offset: 50)), now: .zero).texts
        #expect(actions.prefix(2) == ["confirmed 2 at 50", "confirmed 3 at 51"])
        #expect(actions.last == "send 3: 9 10 11 12 from 8")
    }

    @Test("A group is never divided, however large")
    func largeGroup() {
        var schedule = schedule(messages: 10)
        #expect(schedule.handle(group(1, messages: 50), now: .zero).texts == ["send 1: 1 from 0"])
        #expect(schedule.handle(group(2), now: .zero).texts == ["send 2: 2 from 50"])
    }

    @Test("No more batches are on their way than the window has room for")
    func window() {
        var schedule = schedule(batches: 5)
        let sent = (1...9).flatMap { schedule.handle(group($0), now: .zero) }.texts
        #expect(sent.count == 5)
        #expect(schedule.handle(.answered(2, .written(offset: 1)), now: .zero).texts.count == 2)
    }

    @Test("What was refused goes again after a delay that grows, and all behind it again, in order")
    func retries() {
        var schedule = schedule()
        for number in 1...3 as ClosedRange<UInt64> { _ = schedule.handle(group(number), now: .zero) }
        #expect(schedule.handle(refused(1), now: .zero).isEmpty)
        #expect(schedule.handle(group(4), now: .zero).isEmpty)
        #expect(schedule.handle(.answered(2, .gap), now: .zero).isEmpty)
        #expect(schedule.due == nil)
        #expect(schedule.handle(.answered(3, .gap), now: .zero).texts == ["delayed"])
        #expect(schedule.due == .milliseconds(100))
        #expect(schedule.handle(.tick, now: .milliseconds(99)).isEmpty)
        let again = schedule.handle(.tick, now: .milliseconds(100)).texts
        #expect(again == ["send 1: 1 from 0", "send 2: 2 from 1", "send 3: 3 from 2"])
        for number in 2...3 as ClosedRange<UInt64> { _ = schedule.handle(.answered(number, .gap), now: .seconds(1)) }
        _ = schedule.handle(refused(1), now: .seconds(1))
        #expect(schedule.due == .milliseconds(1200))
        _ = schedule.handle(.tick, now: .milliseconds(1200))
        #expect(
            schedule.handle(.answered(1, .written(offset: 9)), now: .seconds(2)).texts
                == ["confirmed 1 at 9", "send 4: 4 from 3"]
        )
    }

    @Test("After the last retry it fails, and what is behind it with it; then sequences begin anew")
    func givesUp() {
        var schedule = schedule(retries: 1)
        for number in 1...2 as ClosedRange<UInt64> { _ = schedule.handle(group(number), now: .zero) }
        _ = schedule.handle(refused(1), now: .zero)
        _ = schedule.handle(.answered(2, .gap), now: .zero)
        _ = schedule.handle(group(3), now: .zero)
        #expect(schedule.handle(.tick, now: .seconds(1)).texts.count == 2)
        #expect(schedule.handle(refused(1), now: .seconds(1)).isEmpty)
        #expect(
            schedule.handle(.answered(2, .gap), now: .seconds(1)).texts
                == ["failed 1: full", "failed 2: predecessor failed", "failed 3: predecessor failed"]
        )
        #expect(schedule.isIdle)
        #expect(schedule.handle(group(4), now: .seconds(1)).texts == ["send 3: 4 from 0 after 1 restarts"])
    }

    @Test("No attempt begins beyond the deadline")
    func deadline() {
        var schedule = schedule()
        _ = schedule.handle(group(1, deadline: .milliseconds(150)), now: .zero)
        #expect(schedule.handle(refused(1), now: .milliseconds(50)).texts == ["delayed"])
        #expect(schedule.handle(.tick, now: .milliseconds(150)).texts.count == 1)
        #expect(schedule.handle(refused(1), now: .milliseconds(150)).texts == ["failed 1: full"])
    }

    @Test("What cannot pass is not tried again; what was written before all the same is confirmed")
    func permanent() {
        var schedule = schedule()
        for number in 1...3 as ClosedRange<UInt64> { _ = schedule.handle(group(number), now: .zero) }
        #expect(schedule.handle(refused(2, Self.gone), now: .zero).isEmpty)
        #expect(schedule.handle(.answered(1, .written(offset: 0)), now: .zero).texts == ["confirmed 1 at 0"])
        #expect(
            schedule.handle(.answered(3, .gap), now: .zero).texts
                == ["failed 2: unknown topic", "failed 3: predecessor failed"]
        )
    }

    @Test("A partition that has lost what it knew is told anew, in the next epoch")
    func lostState() {
        var schedule = schedule()
        for number in 1...3 as ClosedRange<UInt64> { _ = schedule.handle(group(number), now: .zero) }
        _ = schedule.handle(.answered(1, .written(offset: 0)), now: .zero)
        #expect(schedule.handle(.answered(2, .gap), now: .zero).isEmpty)
        #expect(
            schedule.handle(.answered(3, .gap), now: .zero).texts
                == ["send 2: 2 from 0 after 1 restarts", "send 3: 3 from 1 after 1 restarts"]
        )
    }

    @Test("An answer that comes twice, or too late, changes nothing")
    func strayAnswers() {
        var schedule = schedule()
        _ = schedule.handle(group(1), now: .zero)
        #expect(schedule.handle(.answered(1, .written(offset: 3)), now: .zero).texts == ["confirmed 1 at 3"])
        #expect(schedule.handle(.answered(1, .written(offset: 3)), now: .zero).isEmpty)
        #expect(schedule.handle(refused(1), now: .zero).isEmpty)
        #expect(schedule.isIdle && schedule.due == nil)
    }
}

extension [DeliverySchedule.Action] {
    fileprivate var texts: [String] {
        map { action in
            switch action {
            case .send(let batch):
                let groups = batch.groups.map { "\($0.number)" }.joined(separator: " ")
                let restarts = batch.restarts > 0 ? " after \(batch.restarts) restarts" : ""
                return "send \(batch.number): \(groups) from \(batch.sequence)\(restarts)"
            case .confirmed(let number, let offset):
                return "confirmed \(number) at \(offset.map(String.init) ?? "nowhere")"
            case .failed(let number, let error):
                return "failed \(number): \((error as? BrokerError)?.code.description ?? "\(error)")"
            case .delayed: return "delayed"
            }
        }
    }
}
