import Ratchet

/// A sink, or a producer's connection, across a simulated network.
struct SimulatedSink: Sink {
    let link: SimulatedLink
    let connect: @Sendable () throws -> any Sink

    func send(_ batch: OutgoingBatch) async throws -> [SinkFailure] {
        try await link.call { try await connect().send(batch) }
    }
}
