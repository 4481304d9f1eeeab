/// Something that happened in a history and never may.
///
/// One cause is one finding: a message that was skipped falsely, or that the log lost, is not reported as a lost effect
/// again, and so on, as its kind says.
public struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// The kinds of finding. What an event means is said at ``History/Event/Kind-swift.enum``.
    public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// A send returned normally, and after draining there is neither an effect nor a dead letter. Not where the
        /// message is backlog (``stuck``), not in the log (``confirmedButAbsent``), called done without reason
        /// (``falseSkip``), or was removed or passed over by an operator. Names the send, the last delivery, and the
        /// commit or ack that let go of it.
        case lostEffect
        /// A message had its effect again inside of the window, or from the same record of a log at any time, unless a
        /// replay lies between, its reprocessing, or an operator's seek to where it had its effect or before; a seek
        /// excuses nothing that is done again before its offset. Names both effects.
        case duplicateEffect
        /// A message was called done for being there already, and was not: no effect and no dead letter before. Names
        /// the skip and the delivery.
        case falseSkip
        /// A commit (or ack) went past a record that was not done: no effect, dead letter or skip before it. One for
        /// each record passed, also where it was removed afterwards; not where a handler had called it done and the
        /// effect never came at all (``lostEffect``). Names the commit and the record's first event.
        case prematureCommit
        /// A commit is lower than the one before it, in any generation, without a seek between. Names both.
        case commitRegression
        /// An effect, dead letter or commit of a generation after a newer one was assigned the partition. Such a commit
        /// counts for nothing else. Names the newest assignment and the write.
        case zombieWrite
        /// A message was delivered that nobody sent, whose transaction was aborted, or from an offset at which a log
        /// that was told to its end has no record. Names the delivery, and the abort or the end. In a history that
        /// tells of sends, also an effect or dead letter of a message that nobody sent, and then names that.
        case phantomRead
        /// A partition and offset stand for two messages, whatever events say so. One for each offset; names the first
        /// event there and the first that differs.
        case offsetConflict
        /// A delivery of the newest generation of a log lies behind a record that this generation should have been given
        /// before, and there was no seek. Names the record's first event and the delivery.
        case pollSkip
        /// Two sends of a producer returned normally, and the later one's record lies before the earlier one's in the
        /// same partition. Messages that were sent once are compared, a repeat may come late. Names both beginnings, the
        /// earlier one first.
        case orderInversion
        /// A handler began while another of the same ordered key was running: one of its own generation, or one of
        /// another generation that is seen to end afterwards. (One that never ends died with its process.) Names both
        /// beginnings.
        case concurrentHandlers
        /// A queue's message was delivered after as many of its copies were acked as were ever sent. Names the last ack
        /// and the delivery.
        case redeliveryAfterAck
        /// A message has an effect and a dead letter inside of the window, and was not replayed between. Names both, in
        /// their order.
        case deadLetteredAndEffected
        /// A send returned normally, and the partition's log, told to its end, does not hold the message. Names the send
        /// and the end.
        case confirmedButAbsent
        /// After draining, a log that was told to its end holds records at or above the committed offset, or a queue
        /// holds messages. One for each partition; names the last commit or assignment, the first record left, and the
        /// end.
        case stuck
    }

    /// What is wrong.
    public let kind: Kind
    /// The events concerned, by index in the history, in the order that the kind names them.
    public let events: [Int]
    /// One line: the kind, and the events in readable form.
    public let description: String

    init(kind: Kind, events: [Int], in history: History) {
        self.kind = kind
        self.events = events
        description = "\(kind): " + events.map { history.describe($0) }.joined(separator: "; ")
    }
}

extension Finding.Kind: CustomStringConvertible {
    /// The kind in words.
    public var description: String {
        switch self {
        case .lostEffect: "lost effect"
        case .duplicateEffect: "duplicate effect"
        case .falseSkip: "false skip"
        case .prematureCommit: "premature commit"
        case .commitRegression: "commit regression"
        case .zombieWrite: "zombie write"
        case .phantomRead: "phantom read"
        case .offsetConflict: "offset conflict"
        case .pollSkip: "poll skip"
        case .orderInversion: "order inversion of a producer"
        case .concurrentHandlers: "two handlers at once on one ordered key"
        case .redeliveryAfterAck: "redelivery after an accepted ack"
        case .deadLetteredAndEffected: "dead-lettered and effected"
        case .confirmedButAbsent: "confirmed but absent"
        case .stuck: "stuck"
        }
    }
}

/// The findings of a pass, as event numbers: the first of each kind in full, the others as a count.
struct FindingList: Sendable {
    struct Entry: Sendable {
        let first: UInt32
        let second: UInt32
        let third: UInt32
    }

    private(set) var entries = [[Entry]](repeating: [], count: Finding.Kind.allCases.count)
    private(set) var totals = [Int](repeating: 0, count: Finding.Kind.allCases.count)
    let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Adds a finding; events that are `UInt32.max` are left out of it.
    mutating func add(_ kind: Finding.Kind, _ first: UInt32, _ second: UInt32 = .max, _ third: UInt32 = .max) {
        let at = Int(kind.rawValue)
        totals[at] += 1
        if entries[at].count < limit { entries[at].append(Entry(first: first, second: second, third: third)) }
    }

    func findings(in history: History) -> [Finding] {
        Finding.Kind.allCases.flatMap { kind in
            entries[Int(kind.rawValue)].map { entry in
                let events = [entry.first, entry.second, entry.third].filter { $0 != .max }.map { Int($0) }
                return Finding(kind: kind, events: events, in: history)
            }
        }
    }
}
