import DequeModule
import Ratchet
import Synchronization

/// One consumer of a shared group: what it was given and has not taken yet.
final class SharedConsumer: Sendable {
    let id: SharedGroup.ConsumerID
    private let group: SharedGroupShell
    private let limits: LogReader.Limits
    private let signal: Signal
    private let inbox = Mutex(Deque<SharedGroup.Delivery>())
    /// Nobody leads the partition that comes next.
    private let isStalled = Atomic<Bool>(false)

    private let waits = Atomic<Bool>(false)

    init(id: SharedGroup.ConsumerID, group: SharedGroupShell, limits: LogReader.Limits, told signal: Signal) {
        self.id = id
        self.group = group
        self.limits = limits
        self.signal = signal
    }

    // MARK: The group's side

    func deliver(_ deliveries: [SharedGroup.Delivery]) { inbox.withLock { $0.append(contentsOf: deliveries) } }

    /// Takes out again what is not taken yet; returns it.
    func withdraw(_ tags: [Int64]) -> [Int64] {
        let gone = Set(tags)
        return inbox.withLock { inbox in
            let found = inbox.map(\.tag).filter(gone.contains)
            inbox.removeAll { gone.contains($0.tag) }
            return found
        }
    }

    /// Something has come, or nothing will come any more.
    func wake() { signal.tell() }

    /// A partition has grown, so somebody leads it.
    func wakeIfStalled() { if isStalled.load(ordering: .acquiring) { wake() } }

    /// Whether somebody waits for its messages, or for those of others beside them.
    var isInNext: Bool { waits.load(ordering: .acquiring) }

    // MARK: The consumer's side

    /// Throws when another call waits.
    func enterNext() throws(SourceError) {
        guard !waits.exchange(true, ordering: .acquiringAndReleasing) else {
            throw SourceError(.invalidArgument, "next() was called while another call waits: one task calls it")
        }
    }

    func leaveNext() {
        waits.store(false, ordering: .releasing)
        group.tell(.seen(id))
    }

    /// The next messages, up to `most`; none if there are none: then ``wake()`` says when to ask again. One task at a
    /// time.
    func poll(most: Int) throws -> [QueueDelivery] {
        try group.check(id)
        while true {
            isStalled.store(false, ordering: .releasing)
            if inbox.withLock({ $0.isEmpty }) { group.tell(.ask(id, most: most)) }
            let run = takeRun(most)
            guard !run.isEmpty else { return [] }
            let found = try read(run)
            if !found.isEmpty { return found }
            if isStalled.load(ordering: .acquiring) { return [] }
        }
    }

    /// Waits no longer.
    func unask() { group.tell(.unask(id)) }

    func settle(through: Int64?, tags: [Int64], _ answer: SharedGroup.Answer) async throws {
        try await group.settle(id, through: through, tags: tags, answer)
    }

    /// Gives back what counts as never delivered.
    func giveBack(untried tags: [Int64]) { group.tell(.unread(id, tags: tags)) }

    func leave() {
        // Nobody was shown these.
        let unseen = inbox.withLock { inbox in
            defer { inbox.removeAll() }
            return inbox.map(\.tag)
        }
        if !unseen.isEmpty { giveBack(untried: unseen) }
        group.leave(id)
    }

    /// The first deliveries that lie side by side in the log.
    private func takeRun(_ most: Int) -> [SharedGroup.Delivery] {
        inbox.withLock { inbox in
            var run: [SharedGroup.Delivery] = []
            while run.count < most, let next = inbox.first {
                if let last = run.last, last.partition != next.partition || last.offset + 1 != next.offset { break }
                run.append(next)
                inbox.removeFirst()
            }
            return run
        }
    }

    /// Reads what lies side by side; what is beyond the limits goes back into the inbox, and what is not there any more
    /// is settled.
    private func read(_ run: [SharedGroup.Delivery]) throws -> [QueueDelivery] {
        let (partition, first) = (run[0].partition, run[0].offset)
        let found: LogReader.Found?
        do {
            found = try fetch(from: first, in: partition, messages: run.count)
        } catch let error as SourceError where error.code == .offsetOutOfRange {
            let range = group.topic.logs[partition].range
            // An unclean election has cut the log: there will be messages at these offsets again.
            guard first < range.upperBound else {
                stall(run)
                return []
            }
            let start = range.lowerBound
            noteAbsent(first..<max(first, start), of: run)
            returnToInbox(run.filter { $0.offset >= start })
            return []
        } catch {
            group.tell(.unread(id, tags: run.map(\.tag)))
            // Of a topic that was deleted meanwhile, what has gone is no fault.
            try group.check(id)
            throw error
        }
        guard let found else {
            stall(run)
            return []
        }
        noteHoles(found, in: run)
        returnToInbox(run.filter { $0.offset >= found.next })
        return found.batch.map { Self.deliveries(of: run, in: $0) } ?? []
    }

    private static func deliveries(of run: [SharedGroup.Delivery], in batch: MessageBatch) -> [QueueDelivery] {
        var found: [QueueDelivery] = []
        var at = 0
        for delivery in run {
            while at < batch.count, batch.offset(at: at) < delivery.offset { at += 1 }
            guard at < batch.count else { break }
            if batch.offset(at: at) == delivery.offset { found.append(QueueDelivery(batch[at], delivery)) }
        }
        return found
    }

    private func fetch(from offset: Int64, in partition: Int, messages: Int) throws -> LogReader.Found? {
        var limits = limits
        limits.messages = min(limits.messages, messages)
        var place = group.places.withLock { $0[partition] }
        let reader = LogReader(group.topic.logs[partition])
        let found = try reader.read(from: offset, generation: id, limits: limits, place: &place)
        let next = place
        group.places.withLock { $0[partition] = next }
        return found
    }

    /// A log has holes: of what a read leaves out there are no messages.
    private func noteHoles(_ found: LogReader.Found, in run: [SharedGroup.Delivery]) {
        var expected = run[0].offset
        for index in 0..<(found.batch?.count ?? 0) {
            let offset = found.batch?.offset(at: index) ?? expected
            if offset > expected { noteAbsent(expected..<offset, of: run) }
            expected = offset + 1
        }
        if found.next > expected { noteAbsent(expected..<found.next, of: run) }
    }

    private func noteAbsent(_ offsets: Range<Int64>, of run: [SharedGroup.Delivery]) {
        let tags = run.filter { offsets.contains($0.offset) }.map(\.tag)
        group.tell(.absent(id, tags: tags, partition: run[0].partition, offsets))
    }

    /// What comes next cannot be read before the log has grown, or has a leader.
    private func stall(_ run: [SharedGroup.Delivery]) {
        returnToInbox(run)
        isStalled.store(true, ordering: .sequentiallyConsistent)
        let log = group.topic.logs[run[0].partition]
        // Looked at behind that: what has changed before it has woken nobody.
        if log.isLed, run[0].offset < log.range.upperBound { isStalled.store(false, ordering: .releasing) }
    }

    private func returnToInbox(_ rest: [SharedGroup.Delivery]) {
        guard !rest.isEmpty else { return }
        inbox.withLock { inbox in
            for delivery in rest.reversed() { inbox.prepend(delivery) }
        }
    }
}
