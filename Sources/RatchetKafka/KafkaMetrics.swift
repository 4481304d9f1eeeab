#if Kafka
    internal import CRdkafka
    import CoreMetrics
    import Metrics
    import Ratchet
    import Synchronization

    /// A consumer's instruments, made once for each partition from librdkafka's statistics.
    final class KafkaMetrics: Sendable {
        private struct Gauges {
            /// How many messages of the log the group has not committed.
            let lag: Gauge
            /// How many messages wait in librdkafka.
            let prefetched: Gauge
        }

        private let group: String
        private let factory: any MetricsFactory
        private let gauges = Mutex<[TopicPartition: Gauges]>([:])
        /// The offset behind what the group has committed, of the member's partitions.
        private let positions = Mutex<[TopicPartition: Int64]>([:])

        init(group: String, factory: any MetricsFactory) {
            self.group = group
            self.factory = factory
        }

        /// The partition is the member's, and the group has committed everything before `offset`.
        func assigned(_ partition: TopicPartition, _ offset: Int64) { positions.withLock { $0[partition] = offset } }

        /// The group has committed everything before `offset`; the answer may come when the partition is another's.
        func committed(_ partition: TopicPartition, _ offset: Int64) {
            positions.withLock { positions in
                if positions[partition] != nil { positions[partition] = offset }
            }
        }

        /// The partitions are others' to measure: what was measured last would stand here for ever.
        func forget(_ partitions: [TopicPartition]) {
            positions.withLock { positions in
                for partition in partitions { positions[partition] = nil }
            }
            let forgotten = gauges.withLock { gauges in partitions.compactMap { gauges[$0] } }
            for gauges in forgotten {
                gauges.lag.record(0)
                gauges.prefetched.record(0)
            }
        }

        /// Takes over what librdkafka's statistics say.
        func record(_ json: UnsafeRawBufferPointer, _ reports: ClientReports) {
            do {
                for measured in try StatisticsReport(json).partitions {
                    // Else it was given back while this was on its way.
                    guard let position = positions.withLock({ $0[measured.partition] }) else { continue }
                    let gauges = gauges(of: measured.partition)
                    if let end = measured.end { gauges.lag.record(max(0, end - position)) }
                    gauges.prefetched.record(measured.prefetched)
                }
            } catch {
                reports.failed(RD_KAFKA_RESP_ERR__BAD_MSG, "the client's statistics cannot be read: \(error)")
            }
        }

        private func gauges(of partition: TopicPartition) -> Gauges {
            gauges.withLock { gauges in
                if let known = gauges[partition] { return known }
                let dimensions = [
                    ("messaging.system", "kafka"), ("messaging.consumer.group.name", group),
                    ("messaging.destination.name", partition.topic),
                    ("messaging.destination.partition.id", "\(partition.partition)"),
                ]
                let new = Gauges(
                    lag: Gauge(label: "ratchet.kafka.lag", dimensions: dimensions, factory: factory),
                    prefetched: Gauge(label: "ratchet.kafka.prefetched", dimensions: dimensions, factory: factory)
                )
                gauges[partition] = new
                return new
            }
        }
    }
#endif
