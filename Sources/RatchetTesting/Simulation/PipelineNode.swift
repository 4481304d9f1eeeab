import Ratchet
import RatchetBroker
import ServiceLifecycle
import Synchronization

/// The process of the pipelines and their ledger in a simulation.
final class PipelineNode: Sendable {
    private struct State {
        var ledger: Ledger?
        var process: SimulatedProcess?
        var links: [SimulatedLink] = []
        var groups: [Int: ServiceGroup] = [:]
        var supervisors: [Task<Void, Never>] = []
        var absent: Set<Int> = []
        var isEnding = false
        var life: UInt64 = 0
    }

    private let world: World
    private let broker: BrokerNode
    private let state = Mutex(State())

    init(_ world: World, _ broker: BrokerNode) {
        self.world = world
        self.broker = broker
    }

    func start() throws {
        let process = SimulatedProcess(world.scheduler)
        let life = state.withLock { state in
            state.life += 1
            return state.life
        }
        var configuration = Ledger.Configuration()
        configuration.time = world.time(purpose: 5)
        configuration.random = world.random(purpose: 100 + life)
        configuration.logger = World.silent
        configuration.isDurable = false
        configuration.writerTurns = { process.takeTurns($0) }
        // Shorter than the wall clock leaps, longer than a run takes.
        configuration.window = DeduplicationWindow(time: .seconds(3_600))
        configuration.longestDowntime = .seconds(60)
        if world.hasCollisions { configuration.fingerprintBits = 5 }
        let ledger = try Ledger(at: "\(world.directory)/ledger", configuration: configuration)
        let links = (0..<world.scenario.members).map { member in
            SimulatedLink(seed: world.seed, purpose: 1_000 * life + UInt64(member), clock: world.clock)
        }
        state.withLock { state in
            (state.ledger, state.process, state.links, state.absent) = (ledger, process, links, [])
        }
        let supervisors = links.indices.map { member in
            // A process's first tasks: there is none that they could be children of. The executor keeps them in the
            // simulation.
            Task(executorPreference: process) { await self.supervise(member, links[member], ledger) }
        }
        state.withLock { $0.supervisors = supervisors }
    }

    /// Runs a member's pipeline again and again, as whoever looks after it would.
    private func supervise(_ member: Int, _ link: SimulatedLink, _ ledger: Ledger) async {
        while !link.isDead, !state.withLock({ $0.isEnding }) {
            if !state.withLock({ $0.absent.contains(member) }) {
                let group = ServiceGroup(services: [pipeline(member, link, ledger)], logger: World.silent)
                state.withLock { $0.groups[member] = group }
                // Whatever it ends with, it is begun again.
                do { try await group.run() } catch { _ = error }
                if link.isDead { return }
                state.withLock { $0.groups[member] = nil }
            }
            do { try await world.clock.sleep(for: .milliseconds(200)) } catch { return }
        }
    }

    private func pipeline(_ member: Int, _ link: SimulatedLink, _ ledger: Ledger) -> any Service {
        let (world, broker) = (world, broker)
        let effects = world.scenario.effects
        let see: @Sendable () -> Void = {
            // A process that has died reads nothing any more.
            if !link.isDead { world.record.see(ledger, effects) }
        }
        let source = SimulatedSource(
            cluster: broker.cluster,
            group: World.group,
            link: link,
            record: world.record,
            seeEffects: see
        ) {
            try await broker.running().subscribe(to: World.topic, as: World.group).open()
        }
        return world.scenario.pipeline(
            SimulatedMember(
                number: member,
                seed: world.seed,
                source: source,
                sink: SimulatedSink(link: link) { try broker.running() },
                ledger: ledger,
                configuration: configuration(link, see),
                handling: SimulatedHandling(link: link, record: world.record, clock: world.clock)
            )
        )
    }

    private func configuration(_ link: SimulatedLink, _ see: @escaping @Sendable () -> Void) -> PipelineConfiguration {
        var configuration = PipelineConfiguration()
        configuration.concurrency = 3
        configuration.partitionInFlight = 8
        configuration.inFlight = 16
        configuration.batch = 5
        configuration.retries = RetryPolicy(attempts: 4, initialDelay: .milliseconds(100))
        configuration.commitInterval = .milliseconds(300)
        configuration.drainTimeout = .seconds(3)
        configuration.clock = world.clock
        configuration.logger = World.silent
        let record = world.record
        configuration.settled = { entry, outcome in
            see()
            let make: (MessageID, PartitionID, Int64, Int64) -> History.Event
            switch outcome {
            case .duplicate, .redelivered: make = History.Event.skipped
            case .deadLettered:
                make = History.Event.deadLettered
                record.deadLettered(entry.message)
            default: return
            }
            let message = entry.message
            record.add { history in
                make(
                    history.message(message.name),
                    try history.partition(message.topicPartition),
                    message.offset,
                    message.generation
                )
            }
        }
        return configuration
    }

    // MARK: Faults

    func link(_ member: Int) -> SimulatedLink? {
        state.withLock { $0.links.indices.contains(member) ? $0.links[member] : nil }
    }

    func freeze() { state.withLock { $0.process }?.freeze() }
    func thaw() { state.withLock { $0.process }?.thaw() }

    /// A member leaves in good order, until it is told to come back.
    func leave(_ member: Int) async {
        let group = state.withLock { state in
            state.absent.insert(member)
            return state.groups[member]
        }
        await group?.triggerGracefulShutdown()
    }

    func comeBack(_ member: Int) { state.withLock { _ = $0.absent.remove(member) } }

    /// The process dies. What its tasks still do reaches nobody: the network and the ledger are closed to them.
    func crash() {
        let (links, ledger, supervisors, process) = state.withLock { state in
            defer { (state.ledger, state.process, state.groups) = (nil, nil, [:]) }
            return (state.links, state.ledger, state.supervisors, state.process)
        }
        for link in links { link.die() }
        ledger?.abandon()
        process?.thaw()
        for supervisor in supervisors { supervisor.cancel() }
    }

    var isRunning: Bool { state.withLock { $0.ledger != nil } }

    /// How many messages wait in the outbox.
    var backlog: Int { state.withLock { $0.ledger?.outbox.backlog ?? 0 } }

    func close() async {
        let (running, supervisors) = state.withLock { state in
            state.isEnding = true
            return (state.groups.sorted { $0.key < $1.key }.map(\.value), state.supervisors)
        }
        for group in running { await group.triggerGracefulShutdown() }
        for supervisor in supervisors { await supervisor.value }
        let ledger = state.withLock { $0.ledger.take() }
        if let ledger {
            world.record.see(ledger, world.scenario.effects)
            world.record.findDeadLetters(in: ledger)
            await world.scenario.proof?.verify(ledger.reader, broker, world.record)
        }
        await ledger?.close()
    }
}
