#if Kafka
    internal import CRdkafka
    import Logging
    import Ratchet
    import Synchronization

    /// What a consumer's callbacks have told, until its thread deals with it.
    final class ConsumerListener: ClientListener {
        struct Rebalance: Sendable {
            var isAssignment: Bool
            var partitions: [TopicPartition]
        }

        struct Committed: Sendable {
            var number: UInt
            var code: rd_kafka_resp_err_t
            var entries: [PartitionList.Entry]
        }

        struct News: Sendable {
            var rebalances: [Rebalance] = []
            var commits: [Committed] = []
            var hasFailed = false
        }

        private let reports: ClientReports
        private let metrics: KafkaMetrics
        private let news = Mutex(News())

        init(_ reports: ClientReports, _ metrics: KafkaMetrics) {
            self.reports = reports
            self.metrics = metrics
        }

        func takeNews() -> News {
            news.withLock { news in
                defer { news = News() }
                return news
            }
        }

        func log(_ level: Int32, _ facility: String, _ text: String) { reports.log(level, facility, text) }

        func failed(_ code: rd_kafka_resp_err_t, _ reason: String) {
            reports.failed(code, reason)
            if code == RD_KAFKA_RESP_ERR__FATAL { news.withLock { $0.hasFailed = true } }
        }

        func measured(_ statistics: UnsafeRawBufferPointer) { metrics.record(statistics, reports) }

        func rebalanced(_ code: rd_kafka_resp_err_t, _ partitions: PartitionList) {
            let isAssignment = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
            news.withLock {
                $0.rebalances.append(Rebalance(isAssignment: isAssignment, partitions: partitions.partitions))
            }
        }

        func committed(_ number: UInt, _ code: rd_kafka_resp_err_t, _ partitions: PartitionList) {
            news.withLock { $0.commits.append(Committed(number: number, code: code, entries: partitions.entries)) }
        }
    }
#endif
