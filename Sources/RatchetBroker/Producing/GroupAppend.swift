import LMDB
import Ratchet

/// The appends of many batches in one transaction.
struct GroupAppend {
    private let tables: Tables
    private let producers: ProducerRegistry
    private let maximumProducerStates: Int
    /// The wall clock's.
    private let now: Int64
    /// The producers'.
    private let time: Int64
    /// One for each partition, in the order of first use.
    private(set) var writers: [ChunkWriter] = []
    private var numbers: [UInt32: Int] = [:]
    /// What the partitions know of those producers that have sent something: one for each writer.
    private var sequences: [ProducerSequences] = []
    /// Those of whom something must be written, in order.
    private var touched: [[Int64]] = []

    init(_ tables: Tables, _ producers: ProducerRegistry, maximumProducerStates: Int, now: Int64) {
        self.tables = tables
        self.producers = producers
        self.maximumProducerStates = maximumProducerStates
        self.now = now
        time = producers.time.now
    }

    /// Adds the whole batch or, when it is refused, nothing of it: also where a row of its partition is damaged, which
    /// is no reason to refuse the others.
    mutating func add(
        _ request: Appender.Request,
        in transaction: borrowing WriteTransaction
    ) throws -> Result<[Int64], any Error> {
        var targets: [Int] = []
        for segment in request.segments {
            do {
                guard let target = try writer(for: segment.log, in: transaction) else {
                    let topic = segment.log.partition.topic
                    return .failure(MessageError(.unknownTopic, "topic '\(topic)' was deleted: create it again"))
                }
                targets.append(target)
            } catch let error as BrokerError where error.code == .corrupted {
                return .failure(error)
            }
        }
        var offsets: [Int64] = []
        for (segment, target) in zip(request.segments, targets) {
            if let stamp = segment.stamp {
                switch try add(segment, stamp, to: target, in: transaction) {
                case .success(let offset): offsets.append(offset)
                case .failure(let refusal): return .failure(refusal)
                }
                continue
            }
            offsets.append(writers[target].nextOffset)
            for part in segment.parts { try writers[target].append(part.slice, in: transaction, tables) }
        }
        return .success(offsets)
    }

    mutating func finish(in transaction: borrowing WriteTransaction) throws {
        for index in writers.indices { try writers[index].finish(now: now, in: transaction, tables) }
        for index in writers.indices {
            try SequenceTable.write(
                touched[index],
                of: sequences[index],
                writers[index].log.uid,
                in: transaction,
                tables
            )
        }
    }

    private mutating func writer(
        for log: PartitionLog,
        in transaction: borrowing WriteTransaction
    ) throws -> Int? {
        if let number = numbers[log.uid] { return number }
        guard let row = try transaction.partition(log.uid, in: tables) else { return nil }
        numbers[log.uid] = writers.count
        writers.append(ChunkWriter(log, row: row))
        sequences.append(ProducerSequences())
        touched.append([])
        return writers.count - 1
    }
}

// MARK: - Idempotent producers

extension GroupAppend {
    private mutating func add(
        _ segment: Appender.Request.Segment,
        _ stamp: ProducerStamp,
        to target: Int,
        in transaction: borrowing WriteTransaction
    ) throws -> Result<Int64, any Error> {
        let place = "producer \(stamp.producer) in \(segment.log.partition)"
        guard !producers.isFenced(stamp.producer, incarnation: ProducerEpoch.incarnation(of: stamp.epoch)) else {
            return .failure(BrokerError(.fenced, "\(place): a later one has its transactional id"))
        }
        do {
            guard try know(stamp.producer, in: target, transaction) else {
                return .failure(
                    BrokerError(
                        .limitReached,
                        "\(place) would be one more than maximumProducerStates, \(maximumProducerStates)"
                    )
                )
            }
        } catch let error as BrokerError where error.code == .corrupted {
            return .failure(error)
        }
        switch sequences[target].verdict(on: stamp) {
        case .append:
            let offset = writers[target].nextOffset
            try writers[target].append(segment.parts.map(\.slice), stamp, in: transaction, tables)
            sequences[target].record(stamp, at: offset, now: time)
            if !touched[target].contains(stamp.producer) { touched[target].append(stamp.producer) }
            return .success(offset)
        case .isRepeat(let offset):
            return .success(offset ?? -1)
        case .isFenced(let epoch):
            return .failure(BrokerError(.fenced, "\(place): its epoch is \(stamp.epoch), the partition's \(epoch)"))
        case .isGap(let expected):
            return .failure(
                BrokerError(.outOfSequence, "\(place): \(stamp.sequences.lowerBound) where \(expected) comes next")
            )
        }
    }

    /// Reads what the partition knows of the producer, once; false when there is no room for another one.
    private mutating func know(
        _ producer: Int64,
        in target: Int,
        _ transaction: borrowing WriteTransaction
    ) throws -> Bool {
        guard sequences[target].entries[producer] == nil else { return true }
        if let known = try SequenceTable.read(writers[target].log.uid, producer, in: transaction, tables) {
            sequences[target].remember(known, of: producer)
            return true
        }
        return try ProducerStamp.isDecided(producer) || transaction.count(tables.sequences) < maximumProducerStates
    }
}
