import Logging
import Ratchet

/// The metadata of the broker's log lines, each key in this one place.
enum LogKeys {
    static func group(_ name: String) -> Logger.Metadata { ["group": "\(name)"] }

    static func group(_ name: String, _ member: GroupCoordinator.MemberID) -> Logger.Metadata {
        ["group": "\(name)", "member": "\(member)"]
    }

    static func group(
        _ name: String,
        _ member: GroupCoordinator.MemberID,
        _ partitions: [TopicPartition]
    ) -> Logger.Metadata {
        var metadata = group(name, member)
        metadata["partitions"] = "\(partitions.map(\.description).joined(separator: " "))"
        return metadata
    }

    static func queue(_ group: SharedGroupShell, _ consumer: SharedGroup.ConsumerID) -> Logger.Metadata {
        ["topic": "\(group.topic.name)", "group": "\(group.name)", "member": "\(consumer)"]
    }

    static func error(_ error: any Error, group name: String) -> Logger.Metadata {
        ["group": "\(name)", "error": "\(error)"]
    }

    static func error(_ error: any Error, partition: TopicPartition) -> Logger.Metadata {
        ["partition": "\(partition)", "error": "\(error)"]
    }

    static func stuck(
        _ partition: TopicPartition,
        _ attempts: Int,
        standing: ReplicatedPartition.Standing?
    ) -> Logger.Metadata {
        let state = standing.map { "\($0.inSync) in sync, \($0.minimum) needed" } ?? "no leader"
        return ["partition": "\(partition)", "attempts": "\(attempts)", "state": "\(state)"]
    }

    static func compacted(
        _ partition: TopicPartition,
        _ path: String,
        _ before: Int,
        _ after: Int
    ) -> Logger.Metadata {
        ["partition": "\(partition)", "path": "\(path)", "bytes.before": "\(before)", "bytes.after": "\(after)"]
    }

    static func leadership(_ uid: UInt32, _ leader: String, _ leadership: Leadership) -> Logger.Metadata {
        [
            "partition": "\(uid)", "leader": "\(leader)", "epoch": "\(leadership.epoch)",
            "in sync": "\(leadership.inSync.map(String.init).joined(separator: " "))",
        ]
    }

    static func node(_ number: Int, _ path: String) -> Logger.Metadata { ["node": "\(number)", "path": "\(path)"] }

    static func error(_ error: any Error, node number: Int, _ path: String, remedy: String) -> Logger.Metadata {
        ["node": "\(number)", "path": "\(path)", "error": "\(error)", "remedy": "\(remedy)"]
    }

    static func error(_ error: any Error, partition: TopicPartition, node number: Int) -> Logger.Metadata {
        ["partition": "\(partition)", "node": "\(number)", "error": "\(error)"]
    }

    static func milliseconds(_ count: Int64, _ path: String) -> Logger.Metadata {
        ["milliseconds": "\(count)", "path": "\(path)"]
    }

    static func topic(_ name: String) -> Logger.Metadata { ["topic": "\(name)"] }

    static func error(_ error: any Error, path: String) -> Logger.Metadata {
        ["path": "\(path)", "error": "\(error)"]
    }

    static func path(_ path: String) -> Logger.Metadata { ["path": "\(path)"] }
}
