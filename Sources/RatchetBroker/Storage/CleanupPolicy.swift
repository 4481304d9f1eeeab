/// What becomes of a topic's old messages, in Kafka's words.
public enum CleanupPolicy: String, Sendable, Hashable, CaseIterable {
    /// They go as the topic's ``Retention`` says.
    case delete
    /// Of each key the newest message stays for ever: the topic is a table. Every message needs a key; one with an empty
    /// payload deletes its key, and goes itself after ``TopicSettings/deleteRetention``.
    case compact
    /// Both: of each key the newest message stays, for as long as the retention says.
    case both

    /// Whether retention applies.
    public var deletes: Bool { self != .compact }
    /// Whether only the newest message of each key stays.
    public var compacts: Bool { self != .delete }
}
