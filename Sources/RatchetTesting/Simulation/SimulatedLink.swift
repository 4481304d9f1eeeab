import Ratchet
import Synchronization

/// The network between one client and the broker, with all that can go wrong on it.
final class SimulatedLink: Sendable {
    /// The answer to a call was lost: it may have been carried out or not.
    struct Lost: Error, CustomStringConvertible {
        var description: String { "the answer was lost" }
    }

    private struct State {
        var random: SeededGenerator
        /// What goes wrong now.
        var weather: Set<SimulatedFault.Kind> = []
        var isDead = false
        /// Opened when it is cut; a new one for each time.
        var cut = Latch()
        /// Opened when it is whole again.
        var whole = Latch()
    }

    private let world: World
    private let state: Mutex<State>

    init(_ world: World, purpose: UInt64) {
        self.world = world
        state = Mutex(State(random: SeededGenerator(seed: world.seed, purpose: purpose)))
        state.withLock { $0.whole.open() }
    }

    var isCut: Bool { state.withLock { $0.cut.isOpen } }
    /// Opened when the link is cut.
    var cutting: Latch { state.withLock { $0.cut } }
    /// Its process has died: nothing comes through any more, for ever.
    var isDead: Bool { state.withLock { $0.isDead } }

    /// Begins or ends what goes wrong for a while.
    func set(_ kind: SimulatedFault.Kind, _ isBad: Bool) {
        state.withLock { state in
            if isBad { state.weather.insert(kind) } else { state.weather.remove(kind) }
        }
    }

    /// Whether a fault is at work and hits now, as it does `percent` of the times; it counts.
    func isHit(by kind: SimulatedFault.Kind, _ percent: Int) -> Bool {
        guard state.withLock({ $0.weather.contains(kind) }), chance(percent) else { return false }
        world.injected.note(kind)
        return true
    }

    func cut() {
        state.withLock { state in
            if state.whole.isOpen { state.whole = Latch() }
            return state.cut
        }.open()
    }

    func heal() {
        state.withLock { state in
            if state.cut.isOpen { state.cut = Latch() }
            return state.whole
        }.open()
    }

    func die() {
        state.withLock { $0.isDead = true }
        cut()
    }

    func draw(below bound: Int) -> Int { state.withLock { Int($0.random.next(below: UInt64(bound))) } }
    func chance(_ percent: Int) -> Bool { draw(below: 100) < percent }
}

// MARK: - Packets

extension SimulatedLink {
    /// Waits as long as a message is on its way.
    func pass() async throws {
        let longest = isHit(by: .slowNetwork, 100) ? 1_000_000 : 2_000
        try await world.clock.sleep(for: .microseconds(draw(below: longest)))
        while true {
            if isDead { throw CancellationError() }
            let whole = state.withLock { $0.whole }
            if whole.isOpen { return }
            await whole.wait()
            try Task.checkCancellation()
        }
    }

    /// A call and its answer, which may be lost by one of `faults`. One that may be made twice is made again on another
    /// connection when its answer does not come in time.
    func call<R>(
        lostBy faults: [SimulatedFault.Kind] = [.loseAnswers],
        mayBeMadeTwice: Bool = false,
        body: () async throws -> R
    ) async throws -> R {
        try await hold()
        try await pass()
        let isLost = faults.contains { isHit(by: $0, 60) }
        if isLost, chance(50) { throw Lost() }
        if mayBeMadeTwice, isHit(by: .reorderPackets, 20) {
            _ = try await body()
            try await world.clock.sleep(for: .milliseconds(draw(below: 2_000)))
        }
        let result = try await body()
        try await hold()
        try await pass()
        if isLost { throw Lost() }
        return result
    }

    /// Holds a packet up while others pass it.
    private func hold() async throws {
        guard isHit(by: .reorderPackets, 20) else { return }
        try await world.clock.sleep(for: .milliseconds(draw(below: 2_000)))
    }

    /// Has a call arrive once more, now and then: nobody waits for its answer.
    func mayArriveAgain(_ body: @escaping @Sendable () async throws -> Void) {
        guard isHit(by: .duplicatePackets, 40) else { return }
        let delay = draw(below: 3_000)
        world.underway.add(1, ordering: .relaxed)
        let world = world
        // The network is nobody's child. The executor keeps it in the simulation.
        Task(executorPreference: world.network) {
            do {
                try await world.clock.sleep(for: .milliseconds(delay))
                try await body()
            } catch { _ = error }
            world.underway.subtract(1, ordering: .relaxed)
        }
    }
}
