#if Kafka
    internal import CRdkafka
    import Ratchet

    /// What librdkafka has fetched of one partition, apart from all others: it is read as far as there is room, and what
    /// is not read keeps librdkafka from fetching more. Only the consumer's thread uses it.
    final class PartitionQueue {
        let partition: TopicPartition
        private let queue: OpaquePointer

        /// Nil when librdkafka does not know the partition.
        init?(_ partition: TopicPartition, of client: Client, waking waker: Waker) {
            guard let queue = rd_kafka_queue_get_partition(client.handle, partition.topic, Int32(partition.partition))
            else { return nil }
            self.partition = partition
            self.queue = queue
            // Before it is fetched from: nothing of it is to come by the queue for all.
            rd_kafka_queue_forward(queue, nil)
            waker.listen(to: queue)
        }

        deinit {
            rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
            rd_kafka_queue_destroy(queue)
        }

        func read(into messages: UnsafeMutableBufferPointer<UnsafeMutablePointer<rd_kafka_message_t>?>) -> Int {
            max(0, rd_kafka_consume_batch_queue(queue, 0, messages.baseAddress, messages.count))
        }
    }
#endif
