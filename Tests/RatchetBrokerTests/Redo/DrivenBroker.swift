import Ratchet

@testable import RatchetBroker

/// A broker of three nodes whose writers get their turns one after the other, and can die after any of them.
final class DrivenBroker: Sendable {
    let broker: Broker
    private let steps: WriterSteps

    init(at directory: TemporaryDirectory) async throws {
        let steps = WriterSteps()
        var configuration = Broker.Configuration.replicated
        configuration.isDurable = false
        configuration.writerTurns = { steps.ask($0) }
        let (path, opened) = (directory.broker, Notes<Broker>())
        let body = { @Sendable [configuration] in
            opened.add(try await Broker(at: path, configuration: configuration))
        }
        _ = try await Self.drive(steps, .max, body) {}
        self.steps = steps
        broker = opened.all[0]
    }

    /// Runs the body, and dies after so many turns of all writers together; whether it was over before. The broker is no
    /// longer usable if not, and what the body throws then is of no consequence.
    func run(turns: Int = .max, _ body: @escaping @Sendable () async throws -> Void) async throws -> Bool {
        try await Self.drive(steps, turns, body) { [broker] in broker.abandon() }
    }

    private static func drive(
        _ steps: WriterSteps,
        _ turns: Int,
        _ body: @escaping @Sendable () async throws -> Void,
        atEnd: @escaping @Sendable () -> Void
    ) async throws -> Bool {
        let result = Notes<Result<Void, any Error>>()
        let isOver = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await body()
                    result.add(.success(()))
                } catch {
                    result.add(.failure(error))
                }
            }
            var left = turns
            while result.all.isEmpty, left > 0 {
                if steps.runOne() { left -= 1 } else { await Task.yield() }
            }
            let isOver = !result.all.isEmpty
            if !isOver { atEnd() }
            return isOver
        }
        if isOver { try result.all[0].get() }
        return isOver
    }
}

extension Broker.Configuration {
    /// Three nodes, nothing flushed, no noise.
    static var unsynced: Self {
        var configuration = Self.replicated
        configuration.isDurable = false
        return configuration
    }
}

extension Broker {
    /// How many decided messages' rows a broker's directory holds that nobody has open.
    static func redoRows(at path: String) async throws -> Int {
        let settings = Storage.Settings(.unsynced)
        let storage = try Storage(at: path, settings, id: [])
        let tables = storage.tables
        let count = try storage.read { try $0.count(tables.redo) }
        await storage.close()
        return count
    }
}
