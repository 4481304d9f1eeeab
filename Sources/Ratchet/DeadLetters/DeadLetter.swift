/// A message that was given up, whole, with why, where it came from and every delivery of it since.
public struct DeadLetter: Hashable, Sendable {
    /// Why a message was given up.
    public enum Reason: UInt8, Hashable, Sendable {
        /// The payload could not be decoded.
        case undecodable = 1
        /// The handler failed, for good or too often.
        case handler = 2
        /// The idempotency key is missing or invalid.
        case key = 3
        /// The same key came before with another payload.
        case conflict = 4
    }

    /// A later delivery of the same event.
    public struct Delivery: Hashable, Sendable {
        /// Where it was.
        public var partition: TopicPartition
        /// Its offset.
        public var offset: Int64
    }

    /// How many later deliveries are listed; ``deliveryCount`` counts on.
    public static let maximumListedDeliveries = 100

    /// Its number in the ledger, from 1.
    public internal(set) var id: UInt64
    /// Why it was given up.
    public var reason: Reason
    /// Where it was delivered from first.
    public var partition: TopicPartition
    /// Its offset there.
    public var offset: Int64
    /// The key, nil if it had none.
    public var key: [UInt8]?
    /// The headers.
    public var headers: [Header]
    /// The payload.
    public var payload: [UInt8]
    /// When it was produced, in milliseconds since 1970.
    public var timestamp: Int64
    /// Its idempotency key, nil if it has none.
    public var idempotencyKey: IdempotencyKey?
    /// How often the handler was tried.
    public var attempts: Int
    /// The type of the last error.
    public var errorType: String
    /// What the last error said.
    public var errorMessage: String
    /// When it was given up, in milliseconds since 1970.
    public var time: Int64
    /// The consumer group.
    public var group: String
    /// The generation under which it was delivered.
    public var generation: Int64
    /// The ledger's id.
    public var ledger: String
    /// The nonce of the ledger's opening.
    public var epoch: String
    /// Later deliveries of the same event, the first ``maximumListedDeliveries`` of them.
    public var deliveries: [Delivery]
    /// How many later deliveries there were.
    public var deliveryCount: Int
}
