extension Duration {
    /// Whole milliseconds; what they cannot hold is the most or the least that they can.
    package var milliseconds: Int64 { whole(1_000) }
    /// Whole nanoseconds, likewise: about 292 years at the most.
    package var nanoseconds: Int64 { whole(1_000_000_000) }

    private func whole(_ parts: Int64) -> Int64 {
        let (seconds, attoseconds) = components
        let (whole, tooLong) = seconds.multipliedReportingOverflow(by: parts)
        let (sum, over) = whole.addingReportingOverflow(attoseconds / (1_000_000_000_000_000_000 / parts))
        guard tooLong || over else { return sum }
        return seconds < 0 ? .min : .max
    }
}
