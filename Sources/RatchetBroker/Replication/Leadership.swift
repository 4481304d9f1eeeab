/// Who leads a partition and who is in sync, as the ``Controller`` has decided it.
struct Leadership: Equatable, Sendable {
    /// The nodes that keep the partition, the preferred leader first.
    var replicas: [Int]
    /// Fewer in-sync replicas confirm nothing and let nothing become visible.
    var minimum: Int
    /// Whether a replica that may lack confirmed messages leads when no other can; one that has lost its disk only where
    /// all have.
    var allowsUnclean: Bool
    /// Nil while nobody may lead.
    var leader: Int?
    /// Each leader has an epoch of its own.
    var epoch: Int32 = 0
    /// Grows with each decision.
    var version: Int64 = 0
    /// The replicas that have everything below the high watermark and keep up, in the order of `replicas`.
    var inSync: [Int] = []
    /// Those that left when too few stayed. The high watermark stands still since then, so they too have everything
    /// below it.
    var eligible: [Int] = []
    /// Those that have lost their disks and were not in sync since: they have nothing, or a part.
    var wiped: [Int] = []

    init(replicas: [Int], minimum: Int = 1, allowsUnclean: Bool = false) {
        self.replicas = replicas
        self.minimum = minimum
        self.allowsUnclean = allowsUnclean
    }

    /// Whether enough replicas are in sync to confirm a message to who wants it on all of them.
    var isSufficient: Bool { inSync.count >= minimum }

    /// As the topic is set now. With too few in sync those that have left stay eligible; with enough they are no more, as
    /// the high watermark moves on without them.
    mutating func setRules(_ settings: TopicSettings) {
        minimum = settings.minInSyncReplicas
        allowsUnclean = settings.allowsUncleanElection
        setInSync(inSync)
    }

    /// Sets the in-sync replicas. Those that leave stay eligible as long as there are too few.
    mutating func setInSync(_ members: [Int]) {
        let before = inSync + eligible
        inSync = replicas.filter(members.contains)
        wiped.removeAll(where: inSync.contains)
        eligible = isSufficient ? [] : replicas.filter { before.contains($0) && !inSync.contains($0) }
    }

    /// A replica has lost messages that it had: all of them with its disk.
    mutating func forget(_ node: Int, withDisk: Bool) {
        inSync.removeAll { $0 == node }
        eligible.removeAll { $0 == node }
        if withDisk { wiped = replicas.filter { $0 == node || wiped.contains($0) } }
    }

    /// Chooses a leader among the nodes that are up; returns whether there is one. `uncleanly`: also one that may lack
    /// messages, where that is allowed.
    mutating func elect(uncleanly: Bool = true, _ isUp: (Int) -> Bool) -> Bool {
        leader = nil
        if let node = inSync.first(where: isUp) {
            leader = node
        } else if let node = eligible.first(where: isUp) {
            leader = node
            setInSync([node])
        } else if uncleanly, allowsUnclean, let node = candidates.first(where: isUp) {
            leader = node
            setInSync([node])
            eligible = []
        }
        if leader != nil { epoch += 1 }
        return leader != nil
    }

    /// Who may lead uncleanly. What is left on a disk is worth waiting for: a leader without it has the others cut it off.
    private var candidates: [Int] {
        let kept = replicas.filter { !wiped.contains($0) }
        return kept.isEmpty ? replicas : kept
    }
}

/// A leader's wish to change who is in sync.
struct InSyncChange: Equatable, Sendable {
    /// A replica that comes in.
    struct Addition: Equatable, Sendable {
        var node: Int
        /// In which of its lives it has caught up.
        var life: Int
    }

    /// Tells the answer which question it is to.
    var number: Int
    var leader: Int
    var epoch: Int32
    /// The version of the leadership that it changes.
    var version: Int64
    /// All members, the additions included.
    var members: [Int]
    var additions: [Addition]
}
