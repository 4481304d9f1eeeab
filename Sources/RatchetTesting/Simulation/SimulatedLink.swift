import Ratchet
import Synchronization

/// The network between one client and the broker, with all that can go wrong on it.
final class SimulatedLink: Sendable {
    /// The answer to a call was lost: it may have been carried out or not.
    struct Lost: Error, CustomStringConvertible {
        var description: String { "the answer was lost" }
    }

    /// What goes wrong now.
    struct Weather {
        var isSlow = false
        var losesAnswers = false
        var hasBadCommits = false
        var hasBadHandlers = false
    }

    private struct State {
        var random: SeededGenerator
        var weather = Weather()
        var isDead = false
        /// Opened when it is cut; a new one for each time.
        var cut = Latch()
        /// Opened when it is whole again.
        var whole = Latch()
    }

    private let clock: SimulatedClock
    private let state: Mutex<State>

    init(seed: UInt64, purpose: UInt64, clock: SimulatedClock) {
        self.clock = clock
        state = Mutex(State(random: SeededGenerator(seed: seed, purpose: purpose)))
        state.withLock { $0.whole.open() }
    }

    var weather: Weather { state.withLock { $0.weather } }
    var isCut: Bool { state.withLock { $0.cut.isOpen } }
    /// Opened when the link is cut.
    var cutting: Latch { state.withLock { $0.cut } }
    /// Its process has died: nothing comes through any more, for ever.
    var isDead: Bool { state.withLock { $0.isDead } }

    func change(_ body: (inout Weather) -> Void) { state.withLock { body(&$0.weather) } }

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

    /// Waits as long as a message is on its way.
    func pass() async throws {
        let longest = weather.isSlow ? 1_000_000 : 2_000
        try await clock.sleep(for: .microseconds(draw(below: longest)))
        while true {
            if isDead { throw CancellationError() }
            let whole = state.withLock { $0.whole }
            if whole.isOpen { return }
            await whole.wait()
            try Task.checkCancellation()
        }
    }

    /// A call and its answer.
    func call<R>(_ body: () async throws -> R) async throws -> R {
        try await pass()
        let isLost = weather.losesAnswers && chance(60)
        if isLost, chance(50) { throw Lost() }
        let result = try await body()
        try await pass()
        if isLost { throw Lost() }
        return result
    }
}
