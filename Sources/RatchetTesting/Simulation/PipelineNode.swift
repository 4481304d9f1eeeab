import Ratchet
import RatchetBroker
import ServiceLifecycle
import ServiceLifecycleTestKit
import Synchronization

/// The process of the pipelines and their ledger in a simulation.
final class PipelineNode: Sendable {
    struct State {
        var ledger: Ledger?
        var process: SimulatedProcess?
        var links: [SimulatedLink] = []
        var shutdowns: [Int: GracefulShutdownTestTrigger] = [:]
        var supervisors: [Task<Void, Never>] = []
        var absent: Set<Int> = []
        /// The members whose present run was told to end, whether they may be back by then or not.
        var leaving: Set<Int> = []
        /// What is to be done about an operator's reset.
        var reset = ResumePolicy.Reset.stop
        var isEnding = false
        var life: UInt64 = 0
    }

    let world: World
    private let broker: BrokerNode
    let state = Mutex(State())

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
        // A commit may have reached the file though the process before was told that it had failed.
        world.record.see(ledger, world.scenario.effects)
        world.record.seeDeadLetters(in: ledger)
        let links = (0..<world.scenario.members).map { member in
            SimulatedLink(world, purpose: 1_000 * life + UInt64(member))
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
                let service = pipeline(member, link, ledger)
                // Whatever it ends with, it is begun again. A service group has tasks that run beside the simulation.
                var end: (any Error)?
                let life = broker.life
                do {
                    try await testGracefulShutdown { shutdown in
                        state.withLock { state in
                            state.shutdowns[member] = shutdown
                            state.leaving.remove(member)
                        }
                        try await service.run()
                    }
                } catch { end = error }
                if link.isDead { return }
                state.withLock { $0.shutdowns[member] = nil }
                // Nothing more can be done in this process.
                if ledger.failure != nil { return check(end, of: member, isAlone: broker.life == life) }
            }
            do { try await world.clock.sleep(for: .milliseconds(200)) } catch { return }
        }
    }

    private func pipeline(_ member: Int, _ link: SimulatedLink, _ ledger: Ledger) -> any Service {
        let (world, broker) = (world, broker)
        let reset = state.withLock { $0.reset }
        let effects = world.scenario.effects
        let see: @Sendable () -> Void = {
            // A process that has died reads nothing any more, and one whose ledger has failed nothing of that.
            if !link.isDead, ledger.failure == nil { world.record.see(ledger, effects) }
        }
        let source = SimulatedSource(
            cluster: broker.cluster,
            group: World.group,
            link: link,
            record: world.record,
            reset: reset,
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
                configuration: configuration(reset, see),
                handling: SimulatedHandling(link: link, record: world.record, clock: world.clock)
            )
        )
    }

    private func configuration(_ reset: ResumePolicy.Reset, _ see: @escaping @Sendable () -> Void)
        -> PipelineConfiguration
    {
        var configuration = PipelineConfiguration()
        configuration.concurrency = 3
        configuration.partitionInFlight = 8
        configuration.inFlight = 16
        configuration.batch = 5
        configuration.burst = 2
        configuration.resume.reset = reset
        configuration.retries = RetryPolicy(attempts: 4, initialDelay: .milliseconds(100))
        configuration.commitInterval = .milliseconds(300)
        configuration.drainTimeout = .seconds(3)
        configuration.clock = world.clock
        configuration.logger = World.silent
        let record = world.record
        configuration.settled = { entry, outcome in
            see()
            switch outcome {
            case .duplicate, .redelivered: record.add(entry.message, History.Event.skipped)
            case .deadLettered: record.deadLettered(entry.message)
            default: return
            }
        }
        return configuration
    }

    // MARK: Faults

    /// The members' links to the broker.
    var links: [SimulatedLink] { state.withLock { $0.links } }

    /// Whether it ran until now.
    func freeze() -> Bool { state.withLock { $0.process }?.freeze() ?? false }
    func thaw() { state.withLock { $0.process }?.thaw() }

    /// A member leaves in good order, until it is told to come back; whether it was there.
    @discardableResult
    func leave(_ member: Int) -> Bool {
        let shutdown = state.withLock { state in
            state.absent.insert(member)
            state.leaving.insert(member)
            return state.shutdowns[member]
        }
        shutdown?.triggerGracefulShutdown()
        return shutdown != nil
    }

    /// Says what pipelines that begin from now on are to do about an operator's reset.
    func decide(_ reset: ResumePolicy.Reset) { state.withLock { $0.reset = reset } }

    func comeBack(_ member: Int) { state.withLock { _ = $0.absent.remove(member) } }

    /// The process dies. What its tasks still do reaches nobody: the network and the ledger are closed to them.
    func crash() {
        let (links, ledger, supervisors, process) = state.withLock { state in
            defer { (state.ledger, state.process, state.shutdowns) = (nil, nil, [:]) }
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
            return (state.shutdowns.sorted { $0.key < $1.key }.map(\.value), state.supervisors)
        }
        for shutdown in running { shutdown.triggerGracefulShutdown() }
        for supervisor in supervisors { await supervisor.value }
        let ledger = state.withLock { $0.ledger.take() }
        if let ledger {
            world.record.see(ledger, world.scenario.effects)
            world.record.findEffects(in: ledger, world.scenario.effects)
            world.record.findDeadLetters(in: ledger)
            await world.scenario.proof?.verify(ledger.reader, broker, world.record)
        }
        await ledger?.close()
    }
}
