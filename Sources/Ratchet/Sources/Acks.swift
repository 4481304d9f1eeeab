/// What a send waits for before it returns.
public enum Acks: Sendable, Hashable {
    /// Nothing: the send returns once the message is taken in memory. A failure behind that is not seen, and what a
    /// broker that dies has not written is lost.
    case none
    /// That the partition's leader has written and synced the message. If that node is lost before the others have
    /// the message, it is lost with it.
    case leader
    /// That all in-sync replicas have written and synced it: not all replicas. How many that are at the least is the
    /// topic's to say. Without replication the same as ``leader``.
    case all
}
