/// A message of the outbox that is not confirmed yet: where it lies, not what it holds.
package struct OutboxItem: Hashable, Sendable {
    /// Its entry's number.
    package var entry: UInt64
    /// Messages of one lane go out one after the other. Two lanes may share a number by accident, or by somebody's
    /// design, which only puts their messages in one row.
    package var lane: UInt64
    /// Where the entry names its topic, in bytes from the entry's beginning.
    package var topic: UInt32
    /// Where it lies in the entry, and its size there.
    package var offset: UInt32
    package var size: UInt32
}
