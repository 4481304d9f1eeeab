/// When a fault was at work, in nanoseconds of simulated time: it begins in the middle of something after its own time.
struct FaultSpell: Sendable {
    let fault: SimulatedFault
    let began: Int64
    /// Nil if the run was over before.
    var ended: Int64?
}
