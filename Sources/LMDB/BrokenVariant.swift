#if BrokenVariants
    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #elseif canImport(Darwin)
        import Darwin
    #endif

    /// Mistakes that libraries of this kind make. All of them are listed here, each to show that the tests find it.
    ///
    /// They are there only in builds with the package trait `BrokenVariants`. `RATCHET_BROKEN=name` in the environment
    /// makes one of them.
    package enum BrokenVariant: String, CaseIterable, Sendable {
        /// The source is told of a position as soon as its messages are on their way to the ledger.
        case commitBeforeSync = "commit-before-sync"
        /// The source is told of the highest done offset, whatever is open below it.
        case commitHighestSeen = "commit-highest-seen"
        /// The key of a message is recorded though its handler then fails.
        case recordBeforeEffect = "record-before-effect"
        /// A member whose partition has gone to another one still settles.
        case noFencing = "no-fencing"
        /// The broker takes a commit from whoever sends it.
        case commitUnfenced = "commit-unfenced"
        /// A second delivery of a key that is being handled counts as done at once.
        case duplicateDoneEarly = "duplicate-done-early"
        /// Whatever has a known key's fingerprint is taken for a duplicate.
        case fingerprintBelieved = "fingerprint-believed"
        /// Keys are not looked up.
        case keysIgnored = "keys-ignored"
        /// Keys expire by the wall clock.
        case expiryByWallClock = "expiry-by-wall-clock"
        /// A message claims its key when it is queued; one that never starts does not give it back.
        case claimWhileQueued = "claim-while-queued"
        /// After a topic was made anew the position in the one before it is believed.
        case positionOfOldTopic = "position-of-old-topic"
        /// The done prefix waits for every single offset, though logs have holes.
        case prefixByOffset = "prefix-by-offset"
        /// Callers are told of a commit that only the next one makes safe.
        case resumedBeforeSync = "resumed-before-sync"
        /// A message leaves the outbox whether the sink has it or not.
        case outboxForgetful = "outbox-forgetful"
        /// The next message of a key starts while the one before it runs.
        case keyOrderIgnored = "key-order-ignored"
        /// What a failing handler has written stays.
        case failureNotUndone = "failure-not-undone"
        /// A message that has failed for the last time is done, and no dead letter is kept.
        case noDeadLetter = "no-dead-letter"
        /// An operator's reset is taken for a position of ours.
        case resetIgnored = "reset-ignored"

        private static let chosen: BrokenVariant? = {
            guard let text = getenv("RATCHET_BROKEN").map({ String(cString: $0) }) else { return nil }
            guard let variant = BrokenVariant(rawValue: text) else {
                // One that names no mistake would make a test that tests nothing.
                let names = BrokenVariant.allCases.map(\.rawValue).joined(separator: ", ")
                fatalError("RATCHET_BROKEN is '\(text)': it is one of \(names)")
            }
            return variant
        }()

        package var isOn: Bool { Self.chosen == self }

        /// The two pages of an environment that say which commit is the last.
        static func heads(at path: String) -> [UInt8] {
            let file = open("\(path)/data.mdb", O_RDONLY)
            precondition(file >= 0, "\(path)/data.mdb cannot be opened")
            defer { close(file) }
            var heads = [UInt8](repeating: 0, count: 2 * Int(sysconf(Int32(_SC_PAGESIZE))))
            precondition(pread(file, &heads, heads.count, 0) == heads.count, "\(path)/data.mdb cannot be read")
            return heads
        }

        /// Does to an environment what a power cut may do to a commit that was not synced: the commit before it is the
        /// last again. Its pages are whole: they are reused by the commit after the next at the earliest.
        static func restore(_ heads: [UInt8], at path: String) {
            let file = open("\(path)/data.mdb", O_RDWR)
            precondition(file >= 0, "\(path)/data.mdb cannot be opened")
            defer { close(file) }
            precondition(pwrite(file, heads, heads.count, 0) == heads.count, "\(path)/data.mdb cannot be written")
        }
    }
#endif
