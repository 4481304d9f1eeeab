import Ratchet

/// What any broker's connector must do for a pipeline to keep its promises, as checks that each test library can run.
///
/// ```swift
/// static let suite = ConformanceSuite(MyBroker(), features: [.log, .partitions, .fencing])
///
/// @Test(arguments: suite.checks) func keepsThePromise(_ check: ConformanceCheck) async throws {
///     try await check.run()
/// }
/// ```
public struct ConformanceSuite: Sendable {
    /// A suite's settings. Everything has a default.
    public struct Settings: Sendable {
        /// How long one check may take, and as long again for its cleaning up: enough for some rebalances. It is used up
        /// only where the broker owes something. Default: 60 s.
        public var timeout = Duration.seconds(60)
        /// What the timeout, and the pipelines under test, go by.
        public var clock: any Clock<Duration> = ContinuousClock()
        /// What the names of topics and groups begin with. Default: `conformance`.
        public var prefix = "conformance"
        /// Makes the rest of these names, 64 random bits for each check. Default: the system's.
        public var random: @Sendable () -> UInt64 = RandomSource.system
        /// The largest payload that must be carried, in bytes. Default: 900,000, near Kafka's default limit.
        public var largestPayload = 900_000
        /// A payload that is refused, in bytes, with ``Features/sizeLimit``. Default: 2 MiB.
        public var tooLargePayload = 2 << 20

        /// The defaults.
        public init() {}
    }

    private let broker: any BrokerUnderTest
    private let features: Features
    private let settings: Settings

    /// The checks of a broker with these features. Nothing happens before one is run.
    public init(_ broker: any BrokerUnderTest, features: Features, settings: Settings = Settings()) {
        self.broker = broker
        self.features = features
        self.settings = settings
    }

    private static let promises: [Promise] = Array(
        [
            DeliveryChecks.all, MessageChecks.all, LogChecks.all, CommitChecks.all, FencingChecks.all, GroupChecks.all,
            QueueChecks.all, SinkChecks.all, PipelineChecks.all,
        ].joined()
    )

    /// The checks that apply, always in the same order.
    public var checks: [ConformanceCheck] {
        Self.promises.filter { features.isSuperset(of: $0.features) }.map {
            ConformanceCheck(promise: $0, broker: broker, features: features, settings: settings)
        }
    }

    /// The names of the checks that do not apply, for want of a feature.
    public var skipped: [String] {
        Self.promises.filter { !features.isSuperset(of: $0.features) }.map(\.name)
    }
}

/// One promise that a broker's connector must keep.
public struct ConformanceCheck: Sendable, CustomStringConvertible {
    let promise: Promise
    let broker: any BrokerUnderTest
    let features: Features
    let settings: ConformanceSuite.Settings

    /// The promise, a sentence; no two checks have the same.
    public var name: String { promise.name }
    /// The promise.
    public var description: String { name }

    /// Returns if the promise is kept, with topics and groups of its own; the topics are removed again, unless it is
    /// cancelled. May be run again, and beside others.
    ///
    /// Throws ``ConformanceFailure``, which says what was expected and what came, or what the broker, its source or its
    /// sink threw where they should not; `CancellationError`.
    public func run() async throws {
        let trial = Trial(name: name, broker: broker, features: features, settings: settings)
        do {
            try await trial.withinTime { try await promise.body(trial) }
        } catch {
            // Whatever is left behind, this is what went wrong first.
            do { try await trial.withinTime { try await trial.cleanUp() } } catch {
                trial.note("cleaning up: \(error)")
            }
            throw trial.explained(error)
        }
        do {
            try await trial.withinTime { try await trial.cleanUp() }
        } catch {
            throw trial.explained(error)
        }
    }
}

/// A promise of a broker's connector that was not kept.
public struct ConformanceFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was expected, what came, and what had happened before.
    public let description: String

    /// A failure with its explanation.
    public init(_ description: String) { self.description = description }
}

/// A check before it is bound to a broker.
struct Promise: Sendable {
    let name: String
    /// What it takes of a broker.
    let features: Features
    let body: @Sendable (Trial) async throws -> Void

    init(_ name: String, _ features: Features = [], _ body: @escaping @Sendable (Trial) async throws -> Void) {
        self.name = name
        self.features = features
        self.body = body
    }
}
