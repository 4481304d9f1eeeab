/// A message of the outbox that is not confirmed yet: where it lies, not what it holds.
struct OutboxItem: Hashable, Sendable {
    /// Its entry's number.
    var entry: UInt64
    /// Messages of one lane go out one after the other. Two lanes may share a number by accident, or by somebody's
    /// design, which only puts their messages in one row.
    var lane: UInt64
    /// Where the entry names its topic, in bytes from the entry's beginning.
    var topic: UInt32
    /// Where it lies in the entry, and its size there.
    var offset: UInt32
    var size: UInt32
}
