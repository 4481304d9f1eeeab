/// What one side of an experiment came to.
struct Tally: Codable, Hashable, Sendable {
    /// Messages that the sender handed over.
    var sent = 0
    /// Messages that the sender has a confirmation for.
    var acknowledged = 0
    /// Messages of which the sender does not know whether they were written.
    var unknown = 0
    /// Effects, of all messages.
    var effects = 0
    /// Messages that the sender believes to be sent, without an effect.
    var lost = 0
    /// Messages with more than one effect.
    var twice = 0
    /// How many were sent and confirmed in a second, where that was measured.
    var perSecond: Int?

    subscript(harm: Experiment.Harm) -> Int {
        switch harm {
        case .lost: lost
        case .twice: twice
        case .unknown: unknown
        }
    }
}
