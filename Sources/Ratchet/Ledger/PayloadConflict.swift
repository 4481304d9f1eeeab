/// What to do with a duplicate whose payload is not the first one's.
public enum PayloadConflict: Hashable, Sendable {
    /// Keep the first, count and warn. The default.
    case keepFirst
    /// Keep the first, and keep the later one as a dead letter.
    case deadLetter
    /// Do not look: the payload may differ, as where it holds a time of sending.
    case ignore
}

/// Two messages with one idempotency key and different payloads.
public struct PayloadConflictError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var description: String { "the same idempotency key came before with another payload" }
}
