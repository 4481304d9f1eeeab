import Synchronization

/// Tells a shared group of a partition that has grown.
final class SharedLogFollower: LogFollower {
    private struct Group: Sendable {
        weak var shell: SharedGroupShell?
    }

    // The group has the log, and the log has this: neither may keep the others once nobody else does.
    private let group: Mutex<Group>
    private unowned let log: PartitionLog

    init(group: SharedGroupShell, log: PartitionLog) {
        self.group = Mutex(Group(shell: group))
        self.log = log
    }

    func logHasGrown() {
        guard let group = group.withLock({ $0.shell }) else { return }
        group.observe(log)
        group.wakeStalled()
    }
}
