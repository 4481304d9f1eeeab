import Ratchet

/// A group's subscription across a simulated network.
struct SimulatedSource: Source {
    let cluster: String
    let group: String
    let system = "ratchet"
    let link: SimulatedLink
    let record: SimulatedRecord
    /// What the pipeline does about an operator's reset.
    let reset: ResumePolicy.Reset
    let seeEffects: @Sendable () -> Void
    let connect: @Sendable () async throws -> any SourceSession

    func open() async throws -> any SourceSession {
        SimulatedSession(try await link.call(body: connect), link, record, reset, seeEffects)
    }
}
