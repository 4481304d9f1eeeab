import Ratchet

extension SimulatedHandling {
    /// What of a message's attempts may fail by a fault: never so many that the message is given up for it.
    private static let spoiledAttempts = 2

    /// Runs an async handler of somebody else's. It takes some time before and after what it does.
    func prove(_ world: SimulatedWorld, _ body: () async throws -> Void) async throws {
        note(world.message) { .started($0, $1, offset: $2, generation: $3, key: $4) }
        do {
            let isSlow = link.weather.hasBadHandlers && link.chance(30)
            try await clock.sleep(for: .milliseconds(link.draw(below: isSlow ? 15_000 : 20)))
            try fail(world, if: link.weather.hasBadHandlers, percent: 20)
            try await body()
            try await clock.sleep(for: .milliseconds(link.draw(below: 200)))
            try fail(world, if: link.weather.hasBadHandlers, percent: 20)
        } catch {
            note(world.message) { .failed($0, $1, offset: $2, generation: $3, key: $4) }
            throw error
        }
        note(world.message) { .finished($0, $1, offset: $2, generation: $3, key: $4) }
    }

    /// Runs a transactional handler of somebody else's.
    func proveInTransaction(_ world: SimulatedWorld, _ body: () throws -> Void) throws {
        note(world.message) { .started($0, $1, offset: $2, generation: $3, key: $4) }
        do {
            try fail(world, if: link.weather.hasBadHandlers, percent: 20)
            try body()
            try fail(world, if: link.weather.hasBadHandlers, percent: 20)
        } catch {
            note(world.message) { .failed($0, $1, offset: $2, generation: $3, key: $4) }
            throw error
        }
        note(world.message) { .finished($0, $1, offset: $2, generation: $3, key: $4) }
    }

    func fail(_ world: SimulatedWorld, if isFault: Bool, percent: Int) throws {
        guard isFault, world.attempt <= Self.spoiledAttempts, link.chance(percent) else { return }
        throw SimulatedFailure()
    }
}
