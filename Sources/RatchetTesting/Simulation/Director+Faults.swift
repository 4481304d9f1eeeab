import LMDB
import Synchronization

// The faults of a run: when each begins, what it does, and how it is over.
extension Director {
    /// What ends a fault.
    typealias Ending = () async throws -> Void

    /// A fault begins within so many jobs from its time on: about twice what a message takes all in all.
    private static let latestJob = 200

    func play(_ fault: SimulatedFault, _ producers: [SimulatedLink]) async throws {
        try await world.clock.sleep(for: .milliseconds(fault.time))
        var random = SeededGenerator(seed: world.seed, purpose: 200_000 + UInt64(fault.time))
        await world.scheduler.pass(jobs: random.next(in: 0..<Self.latestJob))
        let number = world.injected.begin(fault, at: world.scheduler.now)
        let end = try await begin(fault, producers)
        try await world.clock.sleep(for: .milliseconds(fault.duration))
        try await end()
        world.injected.end(number, at: world.scheduler.now)
    }

    private func begin(_ fault: SimulatedFault, _ producers: [SimulatedLink]) async throws -> Ending {
        let links = process.links
        switch fault.kind {
        case .crashProcess:
            guard process.isRunning else { return {} }
            process.crash()
            world.injected.note(fault.kind)
            return { if !process.isRunning { try process.start() } }
        case .crashBroker:
            guard broker.isRunning else { return {} }
            broker.crash()
            world.injected.note(fault.kind)
            return { try await broker.start() }
        case .freezeProcess:
            if process.freeze() { world.injected.note(fault.kind) }
            return { process.thaw() }
        case .leapClock:
            let way = fault.duration % 2 == 0 ? 1 : -1
            world.leap.add(way * fault.duration * 7_200, ordering: .relaxed)
            world.injected.note(fault.kind)
            return {}
        case .leaveGroup:
            if process.leave(fault.member) { world.injected.note(fault.kind) }
            return { process.comeBack(fault.member) }
        case .resetOffset: return try await resetOffset(fault)
        case .makeTopicAnew: return try await makeTopicAnew()
        case .failLedgerCommit:
            guard let ledger = process.failNextCommit(fault.time % 2 == 0 ? .written : .unwritten) else { return {} }
            return { if try await process.replace(ledger) { world.injected.note(fault.kind) } }
        case .cutOff: return links.isEmpty ? {} : cutOff(links[fault.member])
        case .badSends, .duplicatePackets: return set(fault.kind, producers + links)
        case .slowNetwork, .loseAnswers, .badCommits, .badHandlers, .hangHandlers, .reorderPackets:
            return links.isEmpty ? {} : set(fault.kind, [links[fault.member]])
        }
    }

    private func set(_ kind: SimulatedFault.Kind, _ links: [SimulatedLink]) -> Ending {
        for link in links { link.set(kind, true) }
        return { for link in links { link.set(kind, false) } }
    }

    private func cutOff(_ link: SimulatedLink) -> Ending {
        guard !link.isCut else { return {} }
        link.cut()
        world.injected.note(.cutOff)
        // A process that has died stays cut off.
        return { if !link.isDead { link.heal() } }
    }
}
