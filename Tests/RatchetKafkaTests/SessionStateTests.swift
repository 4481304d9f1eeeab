#if Kafka
    import Ratchet
    import Testing

    @testable import RatchetKafka

    @Suite struct SessionStateTests {
        private static let a = TopicPartition("t", 0)
        private static let b = TopicPartition("t", 1)

        private func batch(_ partition: TopicPartition, _ offsets: [Int64], from start: Int64, generation: Int64 = 1)
            throws
            -> MessageBatch
        {
            var records: [UInt8] = []
            for _ in offsets {
                [UInt8("x".utf8.first!)].withUnsafeBytes {
                    records.appendRecord(key: nil, headers: [], payload: $0, timestamp: 0)
                }
            }
            return try MessageBatch(
                partition: partition,
                generation: generation,
                startOffset: start,
                count: offsets.count,
                byteCount: records.count
            ) { bytes, places in
                records.withUnsafeBytes { bytes.copyMemory(from: $0) }
                for (index, offset) in offsets.enumerated() { places[index] = offset }
            }
        }

        private func assignment(_ partition: TopicPartition, generation: Int64 = 1) -> Assignment {
            Assignment(partition: partition, topicID: nil, generation: generation, committed: nil, log: 0..<100)
        }

        /// With both partitions assigned and told of.
        private func assigned() -> SessionState {
            var state = SessionState(now: 0)
            state.assign([Self.a, Self.b], generation: 1)
            _ = state.tell([assignment(Self.a), assignment(Self.b)])
            _ = state.step()
            return state
        }

        private func expectWaiting(_ state: inout SessionState) {
            let step = state.step()
            guard case .wait = step else {
                Issue.record("expected nothing, and got \(step)")
                return
            }
        }

        private func expectBatch(_ state: inout SessionState, from offset: Int64) {
            let step = state.step()
            guard case .messages(let batch, _) = step, batch.startOffset == offset else {
                Issue.record("expected messages from \(offset) on, and got \(step)")
                return
            }
        }

        @Test("What was taken away before it was told of is not told of, and is given back at once")
        func untold() {
            var state = SessionState(now: 0)
            state.assign([Self.a, Self.b], generation: 1)
            _ = state.revoke([Self.a], within: .seconds(1), now: 0)
            let ended = state.endRevocation(now: 0, isLost: false)
            #expect(ended?.partitions == [Self.a])
            _ = state.tell([assignment(Self.a), assignment(Self.b)])
            guard case .event(.assigned(let told)) = state.step() else {
                Issue.record("nothing was told")
                return
            }
            #expect(told.map(\.partition) == [Self.b])
        }

        @Test("A partition is read once it is started, and no further than there is room")
        func room() throws {
            var state = assigned()
            #expect(state.reading(Self.a) == nil)
            let isBegun = try state.begin(Self.a, at: 5, generation: 1)
            #expect(isBegun)
            for start in [5, 7] as [Int64] {
                #expect(state.reading(Self.a)?.position == start)
                _ = state.deliver(try batch(Self.a, [start, start + 1], from: start))
            }
            #expect(state.reading(Self.a) == nil)
            guard case .messages(let first, makesRoom: true) = state.step() else {
                Issue.record("no messages")
                return
            }
            #expect(first.startOffset == 5)
            #expect(state.reading(Self.a)?.position == 9)
        }

        @Test("A paused partition is neither read nor delivered, and keeps what was read")
        func paused() throws {
            var state = assigned()
            _ = try state.begin(Self.a, at: 0, generation: 1)
            _ = state.deliver(try batch(Self.a, [0], from: 0))
            _ = state.setPaused(true, Self.a)
            expectWaiting(&state)
            #expect(state.reading(Self.a) == nil)
            _ = state.setPaused(false, Self.a)
            expectBatch(&state, from: 0)
        }

        @Test("What was read of a partition that was moved meanwhile is not delivered")
        func moved() throws {
            var state = assigned()
            _ = try state.begin(Self.a, at: 0, generation: 1)
            let old = try batch(Self.a, [0, 1], from: 0)
            _ = try state.begin(Self.a, at: 50, generation: 1)
            _ = state.deliver(old)
            expectWaiting(&state)
            _ = state.deliver(try batch(Self.a, [50], from: 50))
            expectBatch(&state, from: 50)
        }

        @Test("A revocation lasts until all is released; what stays goes on, and what moves is silent")
        func revocation() throws {
            var state = assigned()
            for partition in [Self.a, Self.b] { _ = try state.begin(partition, at: 0, generation: 1) }
            _ = state.deliver(try batch(Self.a, [0], from: 0))
            _ = state.revoke([Self.a], within: .seconds(10), now: 0)
            guard case .event(.revoking([Self.a], within: .seconds(10))) = state.step() else {
                Issue.record("the revocation was not told")
                return
            }
            _ = state.deliver(try batch(Self.b, [0], from: 0))
            expectBatch(&state, from: 0)
            expectWaiting(&state)
            #expect(try state.index(of: Self.a, generation: 1) == 0)
            let early = state.endRevocation(now: 9_999_999_999, isLost: false)
            #expect(early?.partitions == nil)
            let isReleased = [state.release([Self.b]), state.release([Self.a])]
            #expect(isReleased == [false, true])
            let ended = [state.endRevocation(now: 0, isLost: false), state.endRevocation(now: 0, isLost: false)]
            #expect(ended.map { $0?.partitions } == [[Self.a], nil])
            #expect(throws: SourceError.self) { try state.index(of: Self.a, generation: 1) }
        }

        @Test("What is not released by the deadline is lost, and the group goes on", arguments: [true, false])
        func deadline(isLost: Bool) {
            var state = assigned()
            _ = state.revoke([Self.a, Self.b], within: .seconds(1), now: 0)
            _ = state.step()
            let isReleased = state.release([Self.a])
            #expect(!isReleased)
            let ended = state.endRevocation(now: isLost ? 0 : 1_000_000_000, isLost: isLost)
            #expect(ended?.partitions == [Self.a, Self.b])
            guard case .event(.lost([Self.b])) = state.step() else {
                Issue.record("the loss was not told")
                return
            }
        }

        @Test("Another generation neither starts nor delivers")
        func fenced() throws {
            var state = assigned()
            do {
                _ = try state.begin(Self.a, at: 0, generation: 0)
                Issue.record("an older generation was started")
            } catch { #expect(error.code == .fenced) }
            _ = try state.begin(Self.a, at: 0, generation: 1)
            _ = state.deliver(try batch(Self.a, [0], from: 0, generation: 0))
            expectWaiting(&state)
        }

        @Test("A partition that cannot be read says so in turn, until it is started elsewhere")
        func failure() throws {
            var state = assigned()
            for partition in [Self.a, Self.b] { _ = try state.begin(partition, at: 0, generation: 1) }
            _ = state.fail(Self.a, SourceError(.corrupted, "damaged"))
            _ = state.deliver(try batch(Self.b, [0], from: 0))
            var failures = 0
            var delivered = 0
            for _ in 0..<3 {
                switch state.step() {
                case .failure: failures += 1
                case .messages: delivered += 1
                default: break
                }
            }
            #expect(failures == 2 && delivered == 1)
            _ = try state.begin(Self.a, at: 10, generation: 1)
            expectWaiting(&state)
        }

        @Test(
            "That a log does not hold what comes next is told once, behind all that was read, until it is started elsewhere"
        )
        func gap() throws {
            var state = assigned()
            _ = try state.begin(Self.a, at: 0, generation: 1)
            _ = state.deliver(try batch(Self.a, [0, 1], from: 0))
            let miss = try #require(state.miss(of: Self.a))
            _ = state.tell(miss, log: 50..<90)
            #expect(state.reading(Self.a) == nil && state.miss(of: Self.a) == nil)
            expectBatch(&state, from: 0)
            let gap = OffsetGap(partition: Self.a, generation: 1, position: 2, log: 50..<90)
            guard case .event(.outOfRange(gap)) = state.step() else {
                Issue.record("the gap was not told")
                return
            }
            expectWaiting(&state)
            _ = state.tell(miss, log: 60..<90)
            expectWaiting(&state)
            _ = try state.begin(Self.a, at: 50, generation: 1)
            _ = state.deliver(try batch(Self.a, [50], from: 50))
            expectBatch(&state, from: 50)
        }

        @Test("A gap that is out of date, or of a partition that is to be given back or stands still, is not told")
        func noGap() throws {
            var state = assigned()
            _ = try state.begin(Self.a, at: 0, generation: 1)
            let miss = try #require(state.miss(of: Self.a))
            _ = try state.begin(Self.a, at: 7, generation: 1)
            _ = state.tell(miss, log: 50..<90)
            expectWaiting(&state)
            _ = state.tell(try #require(state.miss(of: Self.a)), log: 50..<90)
            _ = state.setPaused(true, Self.a)
            expectWaiting(&state)
            _ = state.revoke([Self.a], within: .seconds(10), now: 0)
            _ = state.step()
            _ = state.setPaused(false, Self.a)
            expectWaiting(&state)
            #expect(state.miss(of: Self.a) == nil && state.miss(of: Self.b) == nil)
        }

        @Test("Offsets below 0, which librdkafka takes for names of others, are not begun with")
        func names() throws {
            var state = assigned()
            do {
                _ = try state.begin(Self.a, at: -2, generation: 1)
                Issue.record("the log's beginning was taken for an offset")
            } catch { #expect(error.code == .offsetOutOfRange) }
        }

        @Test("A session that has failed says why, one that was closed that it is; both tell nothing else")
        func ends() {
            var state = assigned()
            _ = state.lose([Self.a])
            _ = state.end(KafkaError(.timedOut, "why"))
            guard case .failure(let error) = state.step() else {
                Issue.record("no failure")
                return
            }
            #expect((error as? KafkaError)?.code == .timedOut)
            _ = state.end(nil)
            for _ in 0..<2 {
                guard case .event(.closed) = state.step() else {
                    Issue.record("not closed")
                    return
                }
            }
        }

        @Test("Who takes no events is not attended to for ever")
        func attended() throws {
            var state = assigned()
            #expect(state.isAttended(now: 1_000, within: 10))
            _ = state.lose([Self.a])
            try state.enterNext(now: 1_000)
            #expect(state.isAttended(now: 5_000, within: 10))
            state.leaveNext(now: 5_000)
            #expect(state.isAttended(now: 5_010, within: 10))
            #expect(!state.isAttended(now: 5_011, within: 10))
        }
    }
#endif
