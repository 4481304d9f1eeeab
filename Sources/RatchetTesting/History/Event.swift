extension History {
    /// One thing that happened: 32 bytes. Made by the functions named after ``Kind-swift.enum``'s cases, such as
    /// ``delivered(_:_:offset:generation:)``.
    public struct Event: Hashable, Sendable {
        /// What happened.
        public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
            /// A producer begins to send a message. The order of these events is the producer's order.
            case sending
            /// The send returned normally.
            case sentOK
            /// The send failed for sure: the message is not in the log.
            case sentFailed
            /// The send ended so that nobody knows whether the message is in the log. One that never returns is the same.
            case sentUnknown
            /// The log holds a record: told by the broker, or read from the log afterwards.
            case appended
            /// A record's transaction was aborted: nobody may ever be given it.
            case aborted
            /// A record was removed by retention or compaction: whoever has it may go on with it.
            case removed
            /// All that a partition's log holds was told by ``appended``; the offset is the one that the next record
            /// would get. For a queue: how many messages it still holds.
            case end
            /// A generation begins to own a partition; the offset is where it begins to read, -1 if that is not known.
            case assigned
            /// A generation gave a partition back.
            case revoked
            /// An operator set the position: to begin elsewhere, to pass messages over, or to process them again.
            case seek
            /// A consumer was given a message.
            case delivered
            /// A handler begins.
            case started
            /// A handler ends and calls its message done.
            case finished
            /// A handler ends with an error: its message is not done.
            case failed
            /// The message's effect is durable, as seen from outside.
            case effect
            /// The message was called done because its effect is there already.
            case skipped
            /// The message was given up, and is kept as a dead letter.
            case deadLettered
            /// A dead letter was taken out to be processed again.
            case replayed
            /// The broker accepted a position: all before the offset is done.
            case committed
            /// The broker accepted an ack.
            case acked
            /// All faults are healed, and whatever was left to do had the time it needs: what is missing now is missing.
            case drained
        }

        /// When, in nanoseconds on one clock for the whole history, such as the system's monotonic one.
        public var time: Int64 = 0
        /// The offset, or a queue's delivery tag; -1 where there is none.
        public var offset: Int64 = -1
        /// The generation, 0 where there is none.
        public var generation: UInt32 = 0
        /// The producer of a ``Kind-swift.enum/sending``, the ordered key of a handler's events, the name of an effect.
        var lane: UInt32 = .max
        /// The message, ``MessageID/none`` where there is none.
        public var message = MessageID.none
        /// The partition, ``PartitionID/none`` where there is none.
        public var partition = PartitionID.none
        /// What happened.
        public var kind: Kind

        /// The producer of a ``Kind-swift.enum/sending``, nil for other events.
        public var producer: ProducerID? { kind == .sending ? ProducerID(number: lane) : nil }

        /// The ordered key of a handler's event, nil for other events and where there is no order.
        public var key: OrderedKeyID? {
            guard [.started, .finished, .failed].contains(kind), lane != .max else { return nil }
            return OrderedKeyID(number: lane)
        }

        init(
            _ kind: Kind,
            _ message: MessageID = .none,
            _ partition: PartitionID = .none,
            offset: Int64 = -1,
            generation: Int64 = 0,
            lane: UInt32 = .max
        ) {
            self.kind = kind
            self.message = message
            self.partition = partition
            self.offset = offset
            self.generation = UInt32(clamping: generation)
            self.lane = lane
        }
    }
}

extension History.Event.Kind: CustomStringConvertible {
    /// The kind in words, as findings print it.
    public var description: String {
        switch self {
        case .sending: "sending"
        case .sentOK: "sent ok"
        case .sentFailed: "sent failed"
        case .sentUnknown: "sent unknown"
        case .appended: "appended"
        case .aborted: "aborted"
        case .removed: "removed"
        case .end: "end"
        case .assigned: "assigned"
        case .revoked: "revoked"
        case .seek: "seek"
        case .delivered: "delivered"
        case .started: "started"
        case .finished: "finished"
        case .failed: "failed"
        case .effect: "effect"
        case .skipped: "skipped"
        case .deadLettered: "dead-lettered"
        case .replayed: "replayed"
        case .committed: "committed"
        case .acked: "acked"
        case .drained: "drained"
        }
    }
}
