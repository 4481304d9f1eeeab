#if RabbitMQ
    public import Ratchet

    /// A pipeline's subscription to streams of a RabbitMQ server: logs, each of one partition, whose offsets stand for their
    /// messages for ever. The pipeline's ledger decides where to begin.
    ///
    /// ```swift
    /// let events = try RabbitMQStreamSubscription(to: "events", at: address, as: "billing")
    /// let billing = Pipeline("billing", from: events, ledger: ledger, decoding: .json(Event.self), …)
    /// ```
    ///
    /// The server gives all messages to each consumer and knows no groups: two pipelines of one group do not share a stream,
    /// each processes all of it, and nobody fences the older one. What a group has committed is kept beside the stream, in a
    /// durable queue `ratchet.positions.GROUP.STREAM` that is made when it is not there, for which the credentials need the
    /// right; so a ledger that is restored from an old copy, or another one, is found out as on every log. To reset a group an
    /// operator sends an offset, as text, to that queue while no pipeline runs.
    ///
    /// Messages are delivered with headers and id as those of ``RabbitMQSubscription``; the server sorts a message's headers by
    /// their names, and leaves out those that are lists or tables. One that its producer has not dated has the timestamp -1.
    /// Offsets that the server uses up itself are passed over; what retention has removed is told, never skipped. What a
    /// client of the stream protocol sends as a compressed batch the server does not deliver by this protocol, and nothing
    /// tells such a batch from offsets that it has used up itself: producers must not compress.
    ///
    /// - Warning: A stream syncs nothing before it confirms. A confirmed message survives the server's death, and a loss of
    ///   power only where most of the stream's nodes keep theirs; with one node use a quorum queue, which syncs. Where messages
    ///   that were processed are gone and others have their offsets, the partition stops.
    public struct RabbitMQStreamSubscription: Source {
        /// The streams, in order.
        public let streams: [String]
        /// The consumer group.
        public let group: String
        /// How many messages of each stream a session may have that the pipeline has not taken.
        public let prefetch: Int
        /// How long nothing comes, twice, of a stream that is taken to be empty.
        public let emptyAfter: Duration
        /// Where the server is.
        public let address: RabbitMQAddress
        /// How connections are made and kept.
        public let configuration: RabbitMQConfiguration
        /// The server's address, without its user.
        public var cluster: String { address.description }
        /// `rabbitmq`.
        public var system: String { "rabbitmq" }

        /// A subscription. Nothing happens before it is opened.
        ///
        /// - Parameters:
        ///   - streams: The streams, which exist when it is opened.
        ///   - address: Where the server is.
        ///   - group: The consumer group.
        ///   - prefetch: How many messages of each stream come ahead of the pipeline at the most, 1 to 65,535.
        ///   - emptyAfter: How long nothing comes, twice, with an answer of the server in between, of a stream that is taken to
        ///     be empty, 1 ms or more: the protocol has no other way to ask. A pipeline waits as long at each start where one of
        ///     its streams is. If a server is slower, a pipeline that has a position stops the partition instead of skipping;
        ///     one that has none begins at the first message, also where it should begin with the next one.
        ///   - configuration: How connections are made and kept.
        /// - Throws: ``RabbitMQError`` with `invalidArgument`.
        public init(
            to streams: String...,
            at address: RabbitMQAddress,
            as group: String,
            prefetch: Int = 1_000,
            emptyAfter: Duration = .seconds(1),
            configuration: RabbitMQConfiguration = RabbitMQConfiguration()
        ) throws(RabbitMQError) {
            try self.init(
                to: streams,
                at: address,
                as: group,
                prefetch: prefetch,
                emptyAfter: emptyAfter,
                configuration: configuration
            )
        }

        /// A subscription to several streams.
        public init(
            to streams: [String],
            at address: RabbitMQAddress,
            as group: String,
            prefetch: Int = 1_000,
            emptyAfter: Duration = .seconds(1),
            configuration: RabbitMQConfiguration = RabbitMQConfiguration()
        ) throws(RabbitMQError) {
            guard (1...900).contains(streams.count), Set(streams).count == streams.count else {
                throw RabbitMQError(
                    .invalidArgument,
                    "group '\(group)' consumes 1 to 900 streams, each once: \(streams)"
                )
            }
            for stream in streams {
                let queue = StreamPositions(group: group).queue(of: stream)
                guard !stream.isEmpty, queue.utf8.count <= 255 else {
                    throw RabbitMQError(
                        .invalidArgument,
                        "a stream has a name, and the queue of its positions one of 255 bytes at the most: '\(queue)'"
                    )
                }
            }
            guard (1...65_535).contains(prefetch), emptyAfter >= .milliseconds(1) else {
                throw RabbitMQError(
                    .invalidArgument,
                    "prefetch is \(prefetch), it must be 1 to 65,535; emptyAfter is \(emptyAfter), it must be 1 ms or more"
                )
            }
            try configuration.check()
            self.streams = streams
            self.address = address
            self.group = group
            self.prefetch = prefetch
            self.emptyAfter = emptyAfter
            self.configuration = configuration
        }

        /// The offsets that each stream holds now, by a connection for that one question; takes ``emptyAfter``, twice, where one
        /// of them is empty. Throws ``RabbitMQError``: `notFound` when there is no such stream, `mismatch` when it is a queue, or
        /// why the server does not answer.
        public func logs() async throws -> [TopicPartition: Range<Int64>] {
            let held = try await Asking.connected(to: address, configuration) {
                [streams, emptyAfter, configuration] wire in
                for stream in streams where try !wire.hasQueue(stream) {
                    throw RabbitMQError(.notFound, "there is no stream '\(stream)', \(wire.address)")
                }
                return try wire.offsets(of: streams, emptyAfter: emptyAfter, configuration)
            }
            let partitions = streams.map { TopicPartition($0, 0) }
            return Dictionary(uniqueKeysWithValues: zip(partitions, held))
        }

        /// Connects and asks what each stream holds; where the server refuses, as it does for a moment when it was just started,
        /// it is asked again until the configuration's timeout is over. Throws ``/Ratchet/SourceError`` with `unknownTopic` when a
        /// stream does not exist, ``RabbitMQError`` when the server cannot be reached or still refuses, or with `mismatch` when it
        /// is a queue.
        public func open() async throws -> any SourceSession {
            let (desk, positions) = (ConsumerDesk(model: .log), StreamPositions(group: group))
            try await desk.open {
                ConnectionThread.start(wakeup: desk.wakeup, address: address, configuration: configuration) {
                    [streams, prefetch, emptyAfter, configuration] in
                    StreamRole(
                        streams: streams,
                        prefetch: UInt16(prefetch),
                        positions: positions,
                        emptyAfter: emptyAfter,
                        desk: desk,
                        configuration: configuration
                    )
                }
            }
            return RabbitMQStreamSession(
                desk: desk,
                positions: positions,
                sink: try RabbitMQSink(at: address, configuration: configuration),
                subscription: self
            )
        }
    }
#endif
