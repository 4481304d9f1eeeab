import Ratchet

/// A group's subscription across a simulated network.
struct SimulatedSource: Source {
    let cluster: String
    let group: String
    let system = "ratchet"
    let link: SimulatedLink
    let record: SimulatedRecord
    let seeEffects: @Sendable () -> Void
    let connect: @Sendable () async throws -> any SourceSession

    func open() async throws -> any SourceSession {
        SimulatedSession(try await link.call(connect), link, record, seeEffects)
    }
}
