#if RabbitMQ
    public import Ratchet

    /// Sends messages to a RabbitMQ server, over one connection with a thread of its own, and believes only what the server
    /// has confirmed: each message is mandatory, so that one that no queue takes fails with
    /// ``/Ratchet/MessageError/Code/unknownTopic``, and persistent unless it says otherwise.
    ///
    /// The topic is the queue, unless ``RabbitMQSinkSettings/routing`` says otherwise. A message of the same topic and key
    /// as one before it waits for that one's confirm, so that neither a nack nor a lost connection turns their order round.
    /// What a lost connection leaves unconfirmed fails, and may be in the queue all the same: sent again it comes twice,
    /// under the same id.
    public final class RabbitMQSink: Sink {
        /// Where the server is.
        public let address: RabbitMQAddress
        /// How it sends.
        public let settings: RabbitMQSinkSettings
        private let configuration: RabbitMQConfiguration
        private let desk = PublisherDesk()

        /// A sink; connects with its first batch, and again with the first one after a connection is lost. Throws
        /// ``RabbitMQError`` with `invalidArgument`.
        public init(
            at address: RabbitMQAddress,
            settings: RabbitMQSinkSettings = RabbitMQSinkSettings(),
            configuration: RabbitMQConfiguration = RabbitMQConfiguration()
        ) throws(RabbitMQError) {
            try settings.check()
            try configuration.check()
            self.address = address
            self.settings = settings
            self.configuration = configuration
        }

        deinit { desk.abandon() }

        /// Sends a batch; returns within ``RabbitMQSinkSettings/timeout`` what was not confirmed: with ``RabbitMQError`` of
        /// `nacked`, `timedOut`, or why the connection was lost; with ``/Ratchet/MessageError`` where the message is at
        /// fault. Batches are sent one after the other. Throws `CancellationError` when cancelled: messages may be in
        /// their queues then; ``RabbitMQError`` with `closed`.
        public func send(_ batch: OutgoingBatch) async throws -> [SinkFailure] {
            guard !batch.isEmpty else { return [] }
            return try await desk.send(batch, within: settings.timeout, configuration) {
                ConnectionThread.start(wakeup: desk.wakeup, address: address, configuration: configuration) {
                    [desk, settings, configuration] in
                    PublisherRole(desk: desk, settings: settings, configuration: configuration)
                }
            }
        }

        /// Closes the connection; what is being sent fails. Returns once the connection is closed; a server that does not
        /// answer holds that up for the configuration's timeout, twice at the most. Idempotent.
        public func close() async { await desk.close() }
    }
#endif
