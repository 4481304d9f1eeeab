#if BrokenVariants
    import LMDB
#endif

/// Which keys have a message running right now, and who waits for their outcome.
///
/// Pure. A claim is taken when a message starts and given back when its outcome is durable or it is let go; it lives in
/// memory, because it belongs to one opening of the ledger: after a crash nobody runs. Keys are told apart by
/// fingerprint alone; a collision makes a message wait for a stranger and then look again, never more.
package struct ClaimTable: Sendable {
    /// Someone who waits: a pipeline and its own number for the message.
    package struct Waiter: Hashable, Sendable {
        package var pipeline: Int
        package var message: Int

        package init(pipeline: Int, message: Int) {
            self.pipeline = pipeline
            self.message = message
        }
    }

    /// The pipeline that holds each claim.
    private var claimed: [UInt64: Int] = [:]
    private var waiting: [UInt64: [Waiter]] = [:]

    package init() {}

    /// How many keys are claimed.
    package var count: Int { claimed.count }

    package func isClaimed(_ fingerprint: UInt64) -> Bool { claimed[fingerprint] != nil }

    /// Takes the claim and returns true, or enters `waiter` to be told when it is given back.
    package mutating func claim(_ fingerprint: UInt64, for waiter: Waiter) -> Bool {
        #if BrokenVariants
            if BrokenVariant.claimWhileQueued.isOn, claimed[fingerprint] == waiter.pipeline { return true }
        #endif
        if claimed[fingerprint] == nil {
            claimed[fingerprint] = waiter.pipeline
            return true
        }
        waiting[fingerprint, default: []].append(waiter)
        return false
    }

    /// Gives the claim back; returns who waited, in the order of arrival. Each of them looks again.
    package mutating func release(_ fingerprint: UInt64) -> [Waiter] {
        claimed[fingerprint] = nil
        guard !waiting.isEmpty else { return [] }
        return waiting.removeValue(forKey: fingerprint) ?? []
    }

    /// Gives all claims of a pipeline back that has ended; returns who waited.
    package mutating func releaseAll(of pipeline: Int) -> [Waiter] {
        let held = claimed.filter { $0.value == pipeline }.keys.sorted()
        return held.flatMap { release($0) }
    }
}
