import Seeds
import Testing

@testable import Ratchet

@Suite("Retry policy")
struct RetryPolicyTests {
    private struct Failure: Error {}

    @Test("Delays double up to the longest one")
    func delaysGrow() {
        let policy = RetryPolicy(initialDelay: .seconds(1), maximumDelay: .seconds(30), jitter: 0)
        let delays = (1...8).map { policy.delay(afterAttempt: $0, random: 0.5) }
        #expect(delays == [1, 2, 4, 8, 16, 30, 30, 30].map { .seconds($0) })
    }

    @Test("Jitter stays within its share", arguments: Seed.some(50))
    func jitterIsBounded(seed: Seed) {
        var random = seed.random
        let jitter = Double.random(in: 0...1, using: &random)
        let policy = RetryPolicy(
            initialDelay: .milliseconds(random.below(1000)),
            multiplier: Double.random(in: 1...4, using: &random),
            maximumDelay: .seconds(random.below(60)),
            jitter: jitter
        )
        let plain = RetryPolicy(
            initialDelay: policy.initialDelay,
            multiplier: policy.multiplier,
            maximumDelay: policy.maximumDelay,
            jitter: 0
        )
        for attempt in 1...40 {
            let middle = plain.delay(afterAttempt: attempt, random: 0.5)
            #expect(middle <= policy.maximumDelay)
            let delay = policy.delay(afterAttempt: attempt, random: Double.random(in: 0..<1, using: &random))
            let slack = Duration.nanoseconds(1)
            #expect(delay >= middle * (1 - jitter) - slack)
            #expect(delay <= middle * (1 + jitter) + slack)
        }
    }

    @Test("Any number of attempts has a delay", arguments: [1, 2, 1_000_000, Int.max])
    func manyAttempts(attempt: Int) {
        let policy = RetryPolicy(initialDelay: .seconds(1), multiplier: 1e9, maximumDelay: .seconds(30), jitter: 0)
        #expect(policy.delay(afterAttempt: attempt, random: 0) <= .seconds(30))
        let steady = RetryPolicy(initialDelay: .seconds(1), multiplier: 1, maximumDelay: .seconds(30), jitter: 0)
        #expect(steady.delay(afterAttempt: attempt, random: 0) == .seconds(1))
        let none = RetryPolicy(initialDelay: .zero, jitter: 0)
        #expect(none.delay(afterAttempt: attempt, random: 0) == .zero)
    }

    @Test("Used-up attempts end in what the policy says, never in another attempt")
    func exhausted() {
        for exhausted in [RetryPolicy.Decision.deadLetter, .discard, .stop] {
            let policy = RetryPolicy(attempts: 3, exhausted: exhausted)
            #expect((1...4).map { policy.decide(Failure(), attempt: $0) } == [.retry, .retry, exhausted, exhausted])
        }
        #expect(RetryPolicy(attempts: 1, exhausted: .retry).decide(Failure(), attempt: 1) == .deadLetter)
        #expect(RetryPolicy.never(exhausted: .discard).decide(Failure(), attempt: 1) == .discard)
    }

    @Test(
        "The error decides before the attempts are used up",
        arguments: [RetryPolicy.Decision.deadLetter, .discard, .stop]
    )
    func errorDecides(decision: RetryPolicy.Decision) {
        let policy = RetryPolicy { error, attempt in error is Failure && attempt == 2 ? decision : .retry }
        #expect(policy.decide(Failure(), attempt: 1) == .retry)
        #expect(policy.decide(Failure(), attempt: 2) == decision)
        #expect(policy.decide(CancellationError(), attempt: 2) == .retry)
    }

    @Test("Values out of their bounds are brought within")
    func bounds() {
        let policy = RetryPolicy(
            attempts: 0,
            initialDelay: .seconds(-1),
            multiplier: 0,
            maximumDelay: .seconds(-1),
            jitter: 7
        )
        #expect(policy.attempts == 1)
        #expect(policy.initialDelay == .zero)
        #expect(policy.multiplier == 1)
        #expect(policy.maximumDelay == .zero)
        #expect(policy.jitter == 1)
    }
}
