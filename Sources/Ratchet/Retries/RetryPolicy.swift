/// What to do with a message whose handler threw, and when to try again.
///
/// A message is retried in place: it and the later messages of its key wait, all others go on.
public struct RetryPolicy: Sendable {
    /// What becomes of a failed message.
    public enum Decision: Hashable, Sendable {
        /// Try again after the delay, unless the attempts are used up.
        case retry
        /// Keep it as a dead letter, in the transaction that moves its offset, and go on.
        case deadLetter
        /// Let go of it, counted and logged, and go on.
        case discard
        /// Stop the pipeline with the error; the offset stays before the message.
        case stop
    }

    /// How often the handler is tried in all: 1 or more. Default: 10.
    public var attempts: Int
    /// The delay before the second attempt. Default: 1 s.
    public var initialDelay: Duration
    /// What each further delay is multiplied by: 1 or more. Default: 2.
    public var multiplier: Double
    /// The longest delay. Default: 30 s.
    public var maximumDelay: Duration
    /// The share by which a delay is made shorter or longer at random, 0 to 1, so that failures do not come back in
    /// step. Default: 0.2.
    public var jitter: Double
    /// What becomes of a message when the attempts are used up. `retry` is taken for `deadLetter`. Default: dead
    /// letter.
    public var exhausted: Decision
    /// Which error does what, with the number of the attempt that failed, from 1. Default: every error is retried.
    public var decision: @Sendable (_ error: any Error, _ attempt: Int) -> Decision

    /// A policy; values out of their bounds are brought to the nearest one within.
    public init(
        attempts: Int = 10,
        initialDelay: Duration = .seconds(1),
        multiplier: Double = 2,
        maximumDelay: Duration = .seconds(30),
        jitter: Double = 0.2,
        exhausted: Decision = .deadLetter,
        decision: @escaping @Sendable (_ error: any Error, _ attempt: Int) -> Decision = { _, _ in .retry }
    ) {
        self.attempts = max(1, attempts)
        self.initialDelay = max(.zero, initialDelay)
        self.multiplier = max(1, multiplier)
        self.maximumDelay = max(.zero, maximumDelay)
        self.jitter = min(max(0, jitter), 1)
        self.exhausted = exhausted
        self.decision = decision
    }

    /// One attempt, then `exhausted`.
    public static func never(exhausted: Decision = .deadLetter) -> RetryPolicy {
        RetryPolicy(attempts: 1, exhausted: exhausted)
    }

    /// What to do after attempt number `attempt` (from 1) failed with `error`.
    package func decide(_ error: any Error, attempt: Int) -> Decision {
        let decision = decision(error, attempt)
        guard decision == .retry, attempt >= attempts else { return decision }
        return exhausted == .retry ? .deadLetter : exhausted
    }

    /// How long to wait after attempt number `attempt` (from 1); `random` is in `0..<1`.
    package func delay(afterAttempt attempt: Int, random: Double) -> Duration {
        plainDelay(afterAttempt: attempt) * (1 + jitter * (2 * random - 1))
    }

    private func plainDelay(afterAttempt attempt: Int) -> Duration {
        var delay = min(initialDelay, maximumDelay)
        guard delay > .zero, multiplier > 1 else { return delay }
        var left = attempt - 1
        while left > 0 {
            // Looked at before it is multiplied, so that nothing overflows.
            if maximumDelay / delay <= multiplier { return maximumDelay }
            delay = delay * multiplier
            left -= 1
        }
        return delay
    }
}
