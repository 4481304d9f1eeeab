import Logging
import Ratchet
import RatchetBroker
import Synchronization

/// The broker's process in a simulation.
final class BrokerNode: Sendable {
    /// The broker is not running.
    struct Down: Error, CustomStringConvertible {
        var description: String { "the broker is down" }
    }

    private struct State {
        var broker: Broker?
        var service: Task<Void, Never>?
        var cluster = ""
        var life: UInt64 = 0
    }

    private let world: World
    private let state = Mutex(State())

    init(_ world: World) { self.world = world }

    var cluster: String { state.withLock { $0.cluster } }

    /// Grows with each start.
    var life: UInt64 { state.withLock { $0.life } }

    var isRunning: Bool { state.withLock { $0.broker != nil } }

    func running() throws -> Broker {
        guard let broker = state.withLock({ $0.broker }) else { throw Down() }
        return broker
    }

    func start() async throws {
        let process = SimulatedProcess(world.scheduler)
        let life = state.withLock { state in
            state.life += 1
            return state.life
        }
        var configuration = Broker.Configuration()
        configuration.sessionTimeout = .seconds(2)
        configuration.revokeTimeout = .seconds(4)
        configuration.maximumFetchMessages = 4
        configuration.clock = world.clock
        configuration.time = world.time(purpose: 3)
        configuration.random = world.random(purpose: 20_000 + life)
        configuration.logger = World.silent
        configuration.isDurable = false
        configuration.writerTurns = { process.takeTurns($0) }
        let broker = try await Broker(at: "\(world.directory)/broker", configuration: configuration)
        if broker.topics().isEmpty {
            try await broker.createTopic(World.topic, partitions: world.scenario.partitions)
            for topic in world.scenario.outputs { try await broker.createTopic(topic, partitions: 1) }
        }
        // The process's first task: there is none that it could be a child of. The executor keeps it in the simulation.
        let service = Task(executorPreference: process) {
            do { try await broker.run() } catch { return }
        }
        state.withLock { state in
            state.broker = broker
            state.service = service
            state.cluster = broker.id
        }
    }

    /// What was committed stays, all else is lost.
    func crash() {
        let (broker, service) = state.withLock { state in
            defer { (state.broker, state.service) = (nil, nil) }
            return (state.broker, state.service)
        }
        broker?.abandon()
        service?.cancel()
    }

    func close() async throws {
        let (broker, service) = state.withLock { state in
            defer { (state.broker, state.service) = (nil, nil) }
            return (state.broker, state.service)
        }
        service?.cancel()
        try await broker?.close()
    }
}
