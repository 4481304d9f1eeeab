#if Kafka
    internal import CRdkafka

    /// What the answer to a fetch means for who reads a log.
    enum FetchAnswer {
        case record
        /// The log has no more, for now.
        case end
        /// The log does not hold what was asked for.
        case outOfRange
        /// What was sent is not what was written.
        case damaged
        /// Something that says nothing of the log.
        case other

        init(_ code: rd_kafka_resp_err_t) {
            self =
                switch code {
                case RD_KAFKA_RESP_ERR_NO_ERROR: .record
                case RD_KAFKA_RESP_ERR__PARTITION_EOF: .end
                case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: .outOfRange
                case RD_KAFKA_RESP_ERR__BAD_MSG, RD_KAFKA_RESP_ERR__BAD_COMPRESSION, RD_KAFKA_RESP_ERR_INVALID_MSG:
                    .damaged
                default: .other
                }
        }
    }
#endif
