#if RabbitMQ
    import DequeModule
    import Ratchet

    /// One batch on its way: which message may be published next, and what became of each. All are published in the batch's
    /// order; one whose topic and key were published before waits until that one is confirmed, and fails with it. Pure.
    struct PublishWindow {
        private struct Lane: Hashable {
            let topic: Int32
            let key: [UInt8]
        }

        private struct Outstanding {
            let index: Int
            var isOpen = true
        }

        let batch: OutgoingBatch
        private let waitsInLanes: Bool
        /// The message that is to be published next.
        private var cursor = 0
        /// The message before of the same topic and key, and the one behind it, by index.
        private var leading: [Int?]
        private var following: [Int?]
        private var isResolved: [Bool]
        /// Published and not confirmed: the channel numbers what is published, so each place is a tag.
        private var outstanding = Deque<Outstanding>()
        private var firstTag: UInt64 = 0
        /// How many messages nothing is known about yet.
        private(set) var open: Int
        private var failed: [SinkFailure] = []

        /// A batch of which nothing is published. Without `waitsInLanes` the order is kept by what is published being one
        /// transaction.
        init(_ batch: OutgoingBatch, waitsInLanes: Bool) {
            self.batch = batch
            self.waitsInLanes = waitsInLanes
            open = batch.count
            leading = Array(repeating: nil, count: batch.count)
            following = leading
            isResolved = Array(repeating: false, count: batch.count)
            var last: [Lane: Int] = [:]
            batch.bytes.withUnsafeBytes { bytes in
                for (index, entry) in batch.entries.enumerated() {
                    guard let key = batch.parts(of: entry, in: bytes).key else { continue }
                    let lane = Lane(topic: entry.topic, key: Array(bytes[key]))
                    guard let before = last.updateValue(index, forKey: lane) else { continue }
                    following[before] = index
                    leading[index] = before
                }
            }
        }

        /// Whether something is known about all of them.
        var isDone: Bool { open == 0 }
        /// Published and not confirmed.
        var outstandingCount: Int { outstanding.count }
        /// What failed, in the batch's order.
        var failures: [SinkFailure] { failed.sorted { $0.index < $1.index } }

        /// The next message to publish; nil while it has to wait, `limit` are on their way, or there is none.
        mutating func next(limit: Int) -> Int? {
            while cursor < batch.count, isResolved[cursor] { cursor += 1 }
            guard cursor < batch.count, outstanding.count < limit else { return nil }
            if waitsInLanes, let before = leading[cursor], !isResolved[before] { return nil }
            defer { cursor += 1 }
            return cursor
        }

        /// A message was published, as the channel's number `tag`.
        mutating func published(_ index: Int, as tag: UInt64) {
            if outstanding.isEmpty { firstTag = tag }
            precondition(tag == firstTag + UInt64(outstanding.count), "a channel numbers what is published")
            outstanding.append(Outstanding(index: index))
        }

        /// The server has a message, or all up to it; or, with an error, has not.
        mutating func answered(_ tag: UInt64, isMultiple: Bool, _ error: (any Error)?) {
            guard !outstanding.isEmpty, tag >= firstTag else { return }
            let last = Int(min(tag - firstTag, UInt64(outstanding.count - 1)))
            guard isMultiple || UInt64(last) == tag - firstTag else { return }
            for place in isMultiple ? 0...last : last...last where outstanding[place].isOpen {
                outstanding[place].isOpen = false
                resolve(outstanding[place].index, error)
            }
            while outstanding.first?.isOpen == false {
                outstanding.removeFirst()
                firstTag += 1
            }
        }

        /// All that was published is written.
        mutating func committed() {
            guard let last = outstanding.indices.last else { return }
            answered(firstTag + UInt64(last), isMultiple: true, nil)
        }

        /// No queue took a message: which one is known only as far as `isMeant` can tell, and all that it may be fail.
        mutating func returned(_ error: any Error, isMeant: (Int) -> Bool) {
            for place in outstanding.indices {
                let index = outstanding[place].index
                if !isResolved[index], isMeant(index) { resolve(index, error) }
            }
        }

        /// A message is not even published.
        mutating func refuse(_ index: Int, _ error: any Error) { resolve(index, error) }

        /// Nothing more will be known.
        mutating func giveUp(_ error: any Error) {
            for index in isResolved.indices where !isResolved[index] { resolve(index, error) }
        }

        private mutating func resolve(_ index: Int, _ error: (any Error)?) {
            guard !isResolved[index] else { return }
            settle(index, error)
            guard let error else { return }
            var next = following[index]
            while let behind = next {
                if !isResolved[behind] { settle(behind, error) }
                next = following[behind]
            }
        }

        private mutating func settle(_ index: Int, _ error: (any Error)?) {
            isResolved[index] = true
            open -= 1
            if let error { failed.append(SinkFailure(index: index, error: error)) }
        }
    }

    extension OutgoingBatch {
        /// The parts of a message, as ranges of all bytes: they were checked when it was appended.
        func parts(of entry: Entry, in bytes: UnsafeRawBufferPointer) -> RecordLayout.Parts {
            do throws(MessageError) {
                return try RecordLayout.parts(of: bytes, at: entry.start)
            } catch {
                preconditionFailure("an outgoing batch holds what is no record: \(error)")
            }
        }
    }
#endif
