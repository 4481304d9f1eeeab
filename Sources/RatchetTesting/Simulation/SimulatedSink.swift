import Ratchet

/// A sink, or a producer's connection, across a simulated network.
struct SimulatedSink: Sink {
    let link: SimulatedLink
    let connect: @Sendable () throws -> any Sink

    func send(_ batch: OutgoingBatch) async throws -> [SinkFailure] {
        link.mayArriveAgain { _ = try await connect().send(batch) }
        return try await link.call(lostBy: [.loseAnswers, .badSends]) { try await connect().send(batch) }
    }
}
