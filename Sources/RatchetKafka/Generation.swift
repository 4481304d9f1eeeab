#if Kafka
    internal import CRdkafka

    /// What tells a partition's assignments apart, and rises from one to the next: the group's generation, and behind it,
    /// in 32 bits, when the session began. A static member that comes back within its session's timeout is given its
    /// partitions under the generation that it had: the later session then counts as the newer one.
    enum Generation {
        /// `began` is in milliseconds since 1970. Steps of 64 ms begin anew after nine years: that counts only within one
        /// generation of the group.
        static func combined(group: Int32, began: Int64) -> Int64 {
            Int64(max(group, 0)) << 32 | Int64(UInt32(truncatingIfNeeded: began >> 6))
        }

        /// The generation that a group's member is in; nil when it is in none. librdkafka tells it in no other way than by
        /// the encoding of the group's metadata: a mark, and the generation behind it.
        static func current(of client: Client) -> Int32? {
            guard let metadata = rd_kafka_consumer_group_metadata(client.handle) else { return nil }
            defer { rd_kafka_consumer_group_metadata_destroy(metadata) }
            var (bytes, size) = (UnsafeMutableRawPointer?.none, 0)
            if let error = rd_kafka_consumer_group_metadata_write(metadata, &bytes, &size) {
                rd_kafka_error_destroy(error)
                return nil
            }
            defer { rd_kafka_mem_free(client.handle, bytes) }
            return read(UnsafeRawBufferPointer(start: bytes, count: size))
        }

        static func read(_ metadata: UnsafeRawBufferPointer) -> Int32? {
            let mark = Array("CGMDv2:".utf8)
            guard metadata.count >= mark.count + 4, metadata.prefix(mark.count).elementsEqual(mark) else { return nil }
            let generation = metadata.loadUnaligned(fromByteOffset: mark.count, as: Int32.self)
            return generation >= 0 ? generation : nil
        }
    }
#endif
