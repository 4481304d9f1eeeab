#if Kafka
    internal import CRdkafka

    /// What Kafka, or the client library in between, has refused or could not do.
    public struct KafkaError: Error, Sendable, Hashable, CustomStringConvertible {
        /// The kind of fault.
        public struct Code: Sendable, Hashable, CustomStringConvertible {
            /// librdkafka's number of it: above zero the broker's error, below zero the client's own.
            public let number: Int

            /// The code of this number.
            public init(number: Int) { self.number = number }

            init(_ code: rd_kafka_resp_err_t) { number = Int(code.rawValue) }

            /// librdkafka's name of it, such as `_TIMED_OUT`.
            public var description: String {
                String(cString: rd_kafka_err2name(rd_kafka_resp_err_t(Int32(clamping: number))))
            }

            /// Nothing came within the time given.
            public static let timedOut = Code(RD_KAFKA_RESP_ERR__TIMED_OUT)
            /// A setting does not exist, its value is not one of its own, or it is not for the caller to choose.
            public static let invalidArgument = Code(RD_KAFKA_RESP_ERR__INVALID_ARG)
            /// The message was not sent, or is to be sent again behind another one.
            public static let notSent = Code(RD_KAFKA_RESP_ERR__PURGE_QUEUE)
            /// The client was closed.
            public static let closed = Code(RD_KAFKA_RESP_ERR__DESTROY)
        }

        /// The kind of fault.
        public let code: Code
        /// What was wrong, where, and what to do. Never holds a password or a key.
        public let detail: String
        /// Whether the same may succeed later.
        public let isRetriable: Bool
        /// Whether the client that it came from can do nothing more.
        public let isFatal: Bool

        /// An error with its explanation.
        public init(_ code: Code, _ detail: String, isRetriable: Bool = false, isFatal: Bool = false) {
            self.code = code
            self.detail = detail
            self.isRetriable = isRetriable
            self.isFatal = isFatal
        }

        init(_ code: rd_kafka_resp_err_t, _ what: String) {
            let isRetriable = Self.retriable.contains(code)
            self.init(Code(code), "\(what): \(String(cString: rd_kafka_err2str(code)))", isRetriable: isRetriable)
        }

        /// Takes over an error object, which is freed.
        init(taking error: OpaquePointer, _ what: String) {
            defer { rd_kafka_error_destroy(error) }
            self.init(
                Code(rd_kafka_error_code(error)),
                "\(what): \(String(cString: rd_kafka_error_string(error)))",
                isRetriable: rd_kafka_error_is_retriable(error) != 0,
                isFatal: rd_kafka_error_is_fatal(error) != 0
            )
        }

        private static let retriable: [rd_kafka_resp_err_t] = [
            RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
            RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_RESP_ERR__QUEUE_FULL,
            RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
            RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,
        ]

        /// `code: detail`.
        public var description: String { "\(code): \(detail)" }
    }
#endif
