import Ratchet

extension LogReader {
    /// The record at `offset`, nil when the log does not hold it. Throws ``BrokerError``: `leaderNotAvailable`, and
    /// `notEnoughReplicas` for one that is not shown yet.
    func message(at offset: Int64, generation: Int64) throws -> Message? {
        // What cannot be read just now is not what is not there.
        try log.checkCanBeRead(at: offset)
        guard log.range.contains(offset) else { return nil }
        var place: Place?
        do {
            while true {
                let limits = Limits(messages: 1, bytes: 1)
                if let found = try read(from: offset, generation: generation, limits: limits, place: &place) {
                    // The record itself may be gone, and this be the one behind it.
                    return found.batch.flatMap { $0[0].offset == offset ? $0[0] : nil }
                }
                try log.checkCanBeRead(at: offset)
                guard log.range.contains(offset) else { return nil }
            }
        } catch let error as SourceError where error.code == .offsetOutOfRange {
            // Retention was faster.
            return nil
        }
    }
}
