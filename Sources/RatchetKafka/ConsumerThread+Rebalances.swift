#if Kafka
    internal import CRdkafka
    import Logging
    import Ratchet
    import Synchronization

    extension ConsumerThread {
        func handle(_ rebalance: ConsumerListener.Rebalance) {
            let isEnded = state.withLock { $0.hasEnded }
            if rebalance.isAssignment {
                wasAssigned = true
                // Each is fetched once it is started; until then the member has them, and nothing of them.
                check(
                    PartitionList([PartitionList.Entry]()).withList { rd_kafka_incremental_assign(member.handle, $0) }
                )
                if !isEnded { assign(rebalance.partitions) }
                return
            }
            if isEnded || rd_kafka_assignment_lost(member.handle) != 0 {
                state.withLock { $0.lose(rebalance.partitions) }?.resume()
                return unassign(rebalance.partitions)
            }
            let limit = configuration.rebalanceTimeout / 5 * 4
            state.withLock { $0.revoke(rebalance.partitions, within: limit, now: now) }?.resume()
            endRevocation()
        }

        private func assign(_ partitions: [TopicPartition]) {
            guard !partitions.isEmpty else { return }
            guard let group = Generation.current(of: member) else {
                return end(KafkaError(RD_KAFKA_RESP_ERR__STATE, "the group's generation cannot be read"))
            }
            let generation = Generation.combined(group: group, began: began)
            state.withLock { $0.assign(partitions, generation: generation) }
            questions.append(Question(subject: .places(partitions, generation: generation), due: now))
            logger.debug(
                "partitions assigned",
                metadata: [
                    LogKeys.partitions: "\(partitions.map(\.description).joined(separator: " "))",
                    LogKeys.generation: "\(generation)",
                ]
            )
        }

        func endRevocation() {
            guard state.withLock({ $0.revocation != nil }) else { return }
            let isLost = rd_kafka_assignment_lost(member.handle) != 0
            guard let (partitions, waiter) = state.withLock({ $0.endRevocation(now: now, isLost: isLost) }) else {
                return
            }
            waiter?.resume()
            unassign(partitions)
        }

        /// Tells librdkafka that revoked partitions are given back: the group goes on. Once for each revocation.
        private func unassign(_ partitions: [TopicPartition]) {
            let fetched = started.map(\.partition).filter { partitions.contains($0) }
            started.removeAll { fetched.contains($0.partition) }
            metrics.forget(partitions)
            if !fetched.isEmpty {
                check(PartitionList(fetched).withList { rd_kafka_incremental_unassign(fetcher.handle, $0) })
            }
            check(PartitionList([PartitionList.Entry]()).withList { rd_kafka_incremental_unassign(member.handle, $0) })
        }

        /// A change of an assignment that librdkafka refuses is the end: nobody knows what it does then.
        private func check(_ error: OpaquePointer?) {
            if let error { end(KafkaError(taking: error, "changing the assignment")) }
        }
    }
#endif
