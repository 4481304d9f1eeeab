import Synchronization

/// How far a pipeline has come, for those who ask and those who wait.
final class Progress: Sendable {
    private struct Waiter {
        var offsets: [TopicPartition: Int64]
        var latch: Latch
    }

    private struct State {
        var statistics = PipelineStatistics()
        var watermarks: [TopicPartition: Int64] = [:]
        var stopped: [TopicPartition: ResumeError] = [:]
        var waiters: [Waiter] = []
    }

    private let state = Mutex(State())

    var statistics: PipelineStatistics { state.withLock { $0.statistics } }

    var stoppedPartitions: [TopicPartition: ResumeError] { state.withLock { $0.stopped } }

    /// Partitions stand still for this reason, or no longer; returns how many do now.
    func stopped(_ partitions: [TopicPartition], _ reason: ResumeError?) -> Int {
        state.withLock { state in
            for partition in partitions { state.stopped[partition] = reason }
            return state.stopped.count
        }
    }

    func count(_ body: (inout PipelineStatistics) -> Void) {
        state.withLock { body(&$0.statistics) }
    }

    /// These positions are durable.
    func reached(_ positions: [(partition: TopicPartition, offset: Int64)]) {
        let latches = state.withLock { state in
            for (partition, offset) in positions { state.watermarks[partition] = offset }
            guard !state.waiters.isEmpty else { return [Latch]() }
            let arrived = state.waiters.filter { Self.isReached($0.offsets, state.watermarks) }
            state.waiters.removeAll { Self.isReached($0.offsets, state.watermarks) }
            return arrived.map(\.latch)
        }
        for latch in latches { latch.open() }
    }

    private static func isReached(_ offsets: [TopicPartition: Int64], _ watermarks: [TopicPartition: Int64]) -> Bool {
        offsets.allSatisfy { $0.value <= 0 || (watermarks[$0.key] ?? 0) >= $0.value }
    }

    func settled(through offsets: [TopicPartition: Int64]) async {
        let latch = Latch()
        let isThere = state.withLock { state in
            if Self.isReached(offsets, state.watermarks) { return true }
            state.waiters.append(Waiter(offsets: offsets, latch: latch))
            return false
        }
        if isThere { return }
        await latch.wait()
        state.withLock { $0.waiters.removeAll { $0.latch === latch } }
    }
}
