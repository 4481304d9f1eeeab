#if Kafka
    internal import CRdkafka
    import Logging
    import Ratchet
    import Synchronization

    extension ConsumerThread {
        /// Begins the delivery of a partition, or moves it.
        func begin(_ partition: TopicPartition, at offset: Int64, generation: Int64) throws {
            let isBegun = try state.withLock { state throws(SourceError) in
                try state.begin(partition, at: offset, generation: generation)
            }
            guard isBegun else { return }
            let place = PartitionList([.init(partition: partition, offset: offset)])
            if started.contains(where: { $0.partition == partition }) {
                // Given up by librdkafka, as out of its range, or fetched from elsewhere: it is begun anew.
                try change(rd_kafka_incremental_unassign, place)
                return try change(rd_kafka_incremental_assign, place)
            }
            guard let queue = PartitionQueue(partition, of: fetcher, waking: waker) else {
                throw SourceError(.unknownTopic, "the client does not know \(partition)")
            }
            try change(rd_kafka_incremental_assign, place)
            started.append(queue)
        }

        private typealias Change = (OpaquePointer?, UnsafePointer<rd_kafka_topic_partition_list_t>?) -> OpaquePointer?

        private func change(_ change: Change, _ place: PartitionList) throws {
            guard let error = place.withList({ change(fetcher.handle, $0) }) else { return }
            throw KafkaError(taking: error, "starting \(place.partitions)")
        }

        // MARK: The end

        /// Leaves the group: whatever is left of its partitions is given back at once.
        func leave() {
            endRevocation()
            // Asked before it leaves, which takes its id away.
            let isMidJoin = !wasAssigned && member.isMidJoin
            if let error = rd_kafka_consumer_close_queue(member.handle, memberQueue) {
                logger.warning(
                    "leaving the group",
                    metadata: [LogKeys.error: "\(KafkaError(taking: error, "closing"))"]
                )
            } else {
                let deadline = now + configuration.sessionTimeout.nanoseconds
                while rd_kafka_consumer_closed(member.handle) == 0, now < deadline {
                    waker.wait(milliseconds: 100)
                    serve()
                }
            }
            for job in takeJobs(isLast: true) { job(self) }
            endCommits()
            metrics.forget(started.map(\.partition))
            started = []
            // It is in no group, and fetches nothing more: that does not wait for anybody.
            rd_kafka_consumer_close(fetcher.handle)
            for queue in [memberQueue, fetcherQueue] { rd_kafka_queue_destroy(queue) }
            fetcher.destroy()
            if isMidJoin, !wasAssigned {
                logger.notice(
                    "the member left as it joined: librdkafka before 2.3.0 cannot free it, and its threads stay"
                )
            } else {
                member.destroy()
            }
            ended.open()
        }
    }
#endif
