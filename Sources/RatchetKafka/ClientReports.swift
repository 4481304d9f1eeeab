#if Kafka
    internal import CRdkafka
    import Logging

    /// What a client's own log says, as swift-log's.
    final class ClientReports: ClientListener {
        private let logger: Logger

        init(_ logger: Logger) { self.logger = logger }

        func log(_ level: Int32, _ facility: String, _ text: String) {
            logger.log(level: Self.level(level), "\(text)", metadata: [LogKeys.facility: "\(facility)"])
        }

        func failed(_ code: rd_kafka_resp_err_t, _ reason: String) {
            logger.warning("\(reason)", metadata: [LogKeys.error: "\(KafkaError.Code(code))"])
        }

        /// From syslog's levels.
        private static func level(_ level: Int32) -> Logger.Level {
            switch level {
            case ...2: .critical
            case 3: .error
            case 4: .warning
            case 5: .notice
            case 6: .info
            default: .debug
            }
        }
    }

    /// The metadata of log lines, each key in this one place.
    enum LogKeys {
        static let facility = "kafka.facility"
        static let error = "error"
        static let group = "messaging.consumer.group.name"
        static let partitions = "kafka.partitions"
        static let generation = "ratchet.generation"
    }
#endif
