#if Kafka
    internal import CRdkafka
    import Ratchet

    /// Partitions with offsets, as librdkafka takes and gives them.
    struct PartitionList: Sendable {
        struct Entry: Sendable, Hashable {
            var partition: TopicPartition
            var offset = Int64(RD_KAFKA_OFFSET_INVALID)
            var metadata: String?
            var code = RD_KAFKA_RESP_ERR_NO_ERROR
        }

        var entries: [Entry]

        init(_ entries: [Entry]) { self.entries = entries }

        init(_ partitions: [TopicPartition]) { entries = partitions.map { Entry(partition: $0) } }

        init(reading list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) {
            entries = (0..<Int(list.pointee.cnt)).map { index in
                let element = list.pointee.elems[index]
                return Entry(
                    partition: TopicPartition(String(cString: element.topic), Int(element.partition)),
                    offset: element.offset,
                    metadata: element.metadata.map {
                        let bytes = UnsafeRawBufferPointer(start: $0, count: element.metadata_size)
                        return String(decoding: bytes, as: UTF8.self)
                    },
                    code: element.err
                )
            }
        }

        var partitions: [TopicPartition] { entries.map(\.partition) }

        /// Calls `body` with a copy that lives as long as the call, and may be written to.
        func withList<R>(_ body: (UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) throws -> R) rethrows -> R {
            guard let list = rd_kafka_topic_partition_list_new(Int32(entries.count)) else {
                preconditionFailure("librdkafka has no memory left")
            }
            defer { rd_kafka_topic_partition_list_destroy(list) }
            for entry in entries {
                let partition = Int32(clamping: entry.partition.partition)
                guard let element = rd_kafka_topic_partition_list_add(list, entry.partition.topic, partition) else {
                    continue
                }
                element.pointee.offset = entry.offset
                guard let metadata = entry.metadata else { continue }
                // Freed with the list.
                element.pointee.metadata = UnsafeMutableRawPointer(strdup(metadata))
                element.pointee.metadata_size = metadata.utf8.count
            }
            return try body(list)
        }
    }
#endif
