#if Kafka
    internal import CRdkafka
    import Ratchet

    /// What the answer to a commit means.
    enum CommitAnswer {
        private static let fenced = [
            RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
            RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, RD_KAFKA_RESP_ERR__FENCED,
        ]

        /// Nothing is wrong, and the group takes commits again once it has rebalanced.
        static func isRebalancing(_ commit: ConsumerListener.Committed) -> Bool {
            ([commit.code] + commit.entries.map(\.code)).contains(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS)
        }

        /// Throws unless all was committed.
        static func check(_ commit: ConsumerListener.Committed) throws {
            try check(commit.code, "the commit")
            for entry in commit.entries { try check(entry.code, "the commit of \(entry.offset) in \(entry.partition)") }
        }

        private static func check(_ code: rd_kafka_resp_err_t, _ what: String) throws {
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
            let error = KafkaError(code, what)
            if fenced.contains(code) { throw SourceError(.fenced, error.description) }
            if code == RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE {
                throw SourceError(.invalidArgument, error.description)
            }
            throw error
        }
    }
#endif
