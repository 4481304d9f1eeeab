#if Kafka
    internal import CRdkafka
    import Ratchet
    import Synchronization

    // Where a group is in partitions that it was assigned.
    extension Lookup {
        /// What the group has committed of a partition, and what its log holds.
        struct Place: Sendable {
            var committed: CommittedOffset?
            var log: Range<Int64>
        }

        typealias Places = [(partition: TopicPartition, place: Result<Place, any Error>)]

        /// Tells the place of each partition, or why it could not be asked for: all at once, but for those whose leader
        /// does not answer soon, which are told by themselves.
        func places(of partitions: [TopicPartition], _ answer: @escaping @Sendable (Places) -> Void) {
            thread.submit { [self] in
                do {
                    try ask(partitions, answer)
                } catch {
                    answer(partitions.map { ($0, .failure(error)) })
                }
            }
        }

        /// Each leader is asked on a thread of its own: a broker that is away may take a minute to be given up.
        private func ask(_ partitions: [TopicPartition], _ answer: @escaping @Sendable (Places) -> Void) throws {
            let committed = try committed(partitions)
            // What the client knows of them may be minutes old.
            let leaders = try leaders()
            var known: Places = []
            var groups: [Int32: [PartitionList.Entry]] = [:]
            for entry in committed {
                if entry.code != RD_KAFKA_RESP_ERR_NO_ERROR {
                    known.append((entry.partition, .failure(KafkaError(entry.code, "the committed offset"))))
                } else if let leader = leaders[entry.partition], leader >= 0 {
                    groups[leader, default: []].append(entry)
                } else {
                    let error = KafkaError(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, "the log of \(entry.partition)")
                    known.append((entry.partition, .failure(error)))
                }
            }
            let answers = PlaceAnswers(known, awaited: groups.count, answer)
            // Any order: they are sorted before they are told.
            for entries in groups.values {
                let thread = JobThread(name: "kafka-places") {}
                thread.submit { [self] in
                    answers.add(entries.map { entry in (entry.partition, Result { try place(of: entry) }) })
                }
            }
            answers.tell()
        }

        private func committed(_ partitions: [TopicPartition]) throws -> [PartitionList.Entry] {
            try PartitionList(partitions).withList { list in
                let code = rd_kafka_committed(client.handle, list, timeout)
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                    throw KafkaError(code, "the group's committed offsets")
                }
                return PartitionList(reading: list).entries
            }
        }

        private func place(of entry: PartitionList.Entry) throws -> Place {
            let log = try Self.log(of: entry.partition, client.handle, timeout)
            let offset = entry.offset < 0 ? nil : CommittedOffset(offset: entry.offset, metadata: entry.metadata ?? "")
            return Place(committed: offset, log: log)
        }

        /// Which broker leads each partition that there is; below 0 for none.
        private func leaders() throws -> [TopicPartition: Int32] {
            var found: UnsafePointer<rd_kafka_metadata>?
            let code = rd_kafka_metadata(client.handle, 1, nil, &found, timeout)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = found else {
                throw KafkaError(code, "the partitions' leaders")
            }
            defer { rd_kafka_metadata_destroy(metadata) }
            var leaders: [TopicPartition: Int32] = [:]
            for topic in UnsafeBufferPointer(start: metadata.pointee.topics, count: Int(metadata.pointee.topic_cnt)) {
                let name = String(cString: topic.topic)
                for partition in UnsafeBufferPointer(start: topic.partitions, count: Int(topic.partition_cnt)) {
                    leaders[TopicPartition(name, Int(partition.id))] = partition.leader
                }
            }
            return leaders
        }
    }

    /// Answers of several leaders, told as one as far as they come soon.
    private final class PlaceAnswers: Sendable {
        private struct State {
            var places: Lookup.Places
            var awaited: Int
            var isTold = false
        }

        private static let patience: Int32 = 1_000

        private let state: Mutex<State>
        private let waker = Waker()
        private let answer: @Sendable (Lookup.Places) -> Void

        init(_ known: Lookup.Places, awaited: Int, _ answer: @escaping @Sendable (Lookup.Places) -> Void) {
            state = Mutex(State(places: known, awaited: awaited))
            self.answer = answer
        }

        func add(_ places: Lookup.Places) {
            let isLate = state.withLock { state in
                state.awaited -= 1
                if !state.isTold { state.places += places }
                return state.isTold
            }
            if isLate { answer(places) } else { waker.wake() }
        }

        /// Waits for a second after each answer at the most, and tells those that have come.
        func tell() {
            var last = Int.max
            while true {
                let awaited = state.withLock { $0.awaited }
                if awaited == 0 || awaited == last { break }
                last = awaited
                waker.wait(milliseconds: Self.patience)
            }
            let places = state.withLock { state in
                state.isTold = true
                return state.places
            }
            if !places.isEmpty { answer(places.sorted { $0.partition < $1.partition }) }
        }
    }
#endif
