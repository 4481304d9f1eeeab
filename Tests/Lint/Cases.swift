// What `.ci/lint` must flag, line by line, and what it must leave alone. Not compiled.

struct Cases {
    /// The clock of timeouts.
    public var clock: any Clock<Duration> = ContinuousClock()
    private var lanes: [UInt64: Int] = [:]
    private var paused: Set<Int> = []
    private let stopped = Mutex<[String: Int]>([:])
    private var rows: [Int] = []
    private var counts: Dictionary<Int, Int> = [:]

    func time() async throws {
        Task { await work() }  // flagged
        Task(priority: .low) { await work() }  // flagged
        Task<Void, Never> { await work() }  // flagged
        Task.init { await work() }  // flagged
        Task<Result<Int, any Error>, Never> { await work() }  // flagged
        Task<Void, Never>.detached { await work() }  // flagged
        Task<Void, Never>.immediate { await work() }  // flagged
        Swift.Task { await work() }  // flagged
        Task.detached { await work() }  // flagged
        _Concurrency.Task.detached { await work() }  // flagged
        DispatchQueue.global().async { work() }  // flagged
        Thread.detachNewThread { work() }  // flagged
        try await Task.sleep(for: .seconds(1))  // flagged
        usleep(10)  // flagged
        sleep(1)  // flagged
        Thread.sleep(forTimeInterval: 1)  // flagged
        try await cancelWhenGracefulShutdown { await work() }  // flagged
        try await gracefulShutdown()  // flagged
        try await ServiceGroup(services: []).run()  // flagged
        let now = Date()  // flagged
        let since = Date(timeIntervalSinceNow: 0)  // flagged
        let today = Date.now  // flagged
        let second = time(nil)  // flagged
        let start = ContinuousClock.now  // flagged
        let mine = SuspendingClock()  // flagged
        clock_gettime(CLOCK_MONOTONIC, &now)  // flagged
        try await clock.sleep(for: .seconds(1))
        func sleep(for duration: Duration) async throws { try await clock.sleep(for: duration) }
        if Task.isCancelled { return }
        // A Task { } in a comment, and Task.sleep.
        withTaskGroup(of: Void.self) { $0.addTask { await work() } }
    }

    func numbers(_ generator: inout SeededGenerator) {
        var system = SystemRandomNumberGenerator()  // flagged
        let number = Int.random(in: 0..<9)  // flagged
        let row = rows.randomElement()  // flagged
        let order = rows.shuffled()  // flagged
        let id = UUID()  // flagged
        let hash = rows.hashValue  // flagged
        let die = Glibc.rand()  // flagged
        let seeded = rows.shuffled(using: &generator)
    }

    typealias Marks = [Int: String]  // flagged
    func ends(of topic: String) throws -> [Int: Int64] { [:] }

    func order(_ marks: [Int: String], all: inout Set<Int>) {
        for (lane, count) in lanes { start(lane, count) }  // flagged
        for partition in self.paused where partition > 0 { start(partition) }  // flagged
        for mark in marks { start(mark) }  // flagged
        let numbers = paused.map { $0 + 1 }  // flagged
        let one = all.first  // flagged
        let names = stopped.withLock { Array($0.keys) }  // flagged
        for count in lanes.values { add(count) }  // flagged
        for (lane, count) in counts { start(lane, count) }  // flagged
        for partition in paused.union(all) { start(partition) }  // flagged
        for row in Set(rows) { start(row) }  // flagged
        let distinct = Set(rows)
        for row in distinct { start(row) }  // flagged
        let byLength = Dictionary(grouping: rows, by: \.bitWidth)
        for (length, rows) in byLength { start(length, rows.count) }  // flagged
        let list = Array(self.paused)  // flagged
        let next = paused.removeFirst()  // flagged
        let some = paused.randomElement(using: &generator)  // flagged
        for (partition, end) in try ends(of: "a") { start(partition, end) }  // flagged
        let all = Array(try self.ends(of: "a"))  // flagged
        for (partition, end) in try ends(of: "a").sorted(by: { $0.key < $1.key }) { start(partition, end) }
        // Any order:
        for count in lanes.values { add(count) }  // flagged
        // Any order: a sum is the same.
        for count in lanes.values { add(count) }
        for count in lanes.values { add(count) }  // Any order: a sum is the same.
        for lane in lanes.keys.sorted() { start(lane) }
        for row in rows { start(row) }
        for row in Array(rows) where paused.union(all).contains(row) { start(row) }
        if lanes.values.allSatisfy({ $0 > 0 }) || marks.isEmpty { return }
    }
}
