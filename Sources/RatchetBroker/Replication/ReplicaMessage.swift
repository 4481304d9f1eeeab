/// What the replicas of a partition tell each other.
enum ReplicaMessage: Equatable, Sendable {
    /// A follower asks for what comes after its log's end; so it also tells how much it has.
    case fetch(Fetch)
    case records(Records)
    case diverging(Divergence)
    /// The leader's log begins after the follower's end, at this offset.
    case restart(epoch: Int32, at: Int64)

    struct Fetch: Equatable, Sendable {
        /// The leader's epoch, as the follower knows it.
        var epoch: Int32
        /// The follower's life.
        var life: Int
        var offset: Int64
        /// The epoch of the follower's last record, nil if it has none.
        var lastEpoch: Int32?
    }

    /// Records of the leader's log, those between `from` and `end`.
    struct Records: Equatable, Sendable {
        var epoch: Int32
        var from: Int64
        var end: Int64
        /// The leader's log begins here.
        var start: Int64
        /// The leader's epochs.
        var epochs: LeaderEpochs
        var highWatermark: Int64
    }

    /// The follower's last records are not the leader's.
    struct Divergence: Equatable, Sendable {
        /// What the follower asked: an answer to an earlier question may come late.
        var question: Fetch
        /// The last epoch up to the follower's that the leader has records of, and where they end.
        var lastEpoch: Int32
        var end: Int64
        /// The leader's log begins here.
        var start: Int64
    }
}
