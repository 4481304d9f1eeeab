/// Tells a shared group of a partition that has grown.
final class SharedLogFollower: LogFollower {
    private let group: SharedGroupShell
    private let log: PartitionLog

    init(group: SharedGroupShell, log: PartitionLog) {
        self.group = group
        self.log = log
    }

    func logHasGrown() {
        group.observe(log)
        group.wakeStalled()
    }
}
