#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct ConsumerChannelTests {
        /// So many nanoseconds for each failure in a row.
        private static func delay(_ failures: Int) -> Int64 { Int64(failures * 10) }

        private static let identity = ConsumerChannel.Identity(partition: TopicPartition("q", 1), generation: 1)

        private static func assigned() -> ConsumerChannel {
            var channel = ConsumerChannel(number: 1, queue: "q", maximumSize: 10)
            #expect(channel.open(at: 0) == [.open])
            #expect(channel.handle(.channelOpened, at: 0, delay: delay) == [.findQueue])
            #expect(channel.handle(.queueFound, at: 0, delay: delay) == [.setPrefetch])
            #expect(channel.handle(.prefetchSet, at: 0, delay: delay) == [.assign])
            channel.identity = identity
            return channel
        }

        @Test("It consumes only once it was assigned and started, and only once")
        func starting() {
            var channel = ConsumerChannel(number: 1, queue: "q", maximumSize: 10)
            #expect(channel.start() == [])
            channel = Self.assigned()
            #expect(channel.start() == [.consume])
            #expect(channel.start() == [])
            // What follows answers an answer of ours.
            #expect(channel.handle(.prefetchSet, at: 0, delay: Self.delay) == [.passed])
        }

        @Test("A queue that is not there is asked for again, later each time")
        func missing() {
            var channel = ConsumerChannel(number: 1, queue: "q", maximumSize: 10)
            let closed = Method.channelClosed(code: 404, text: "NOT_FOUND")
            let failure = ConsumerChannel.Failure(code: 404, text: "NOT_FOUND")
            for (now, due) in [(0, 10), (10, 30)] as [(Int64, Int64)] {
                #expect(channel.open(at: now) == [.open])
                _ = channel.handle(.channelOpened, at: now, delay: Self.delay)
                #expect(
                    channel.handle(closed, at: now, delay: Self.delay)
                        == [.confirmClosed, .lose(nil, failure)]
                )
                #expect(channel.due == due && channel.open(at: due - 1) == [])
            }
        }

        @Test(
            "A queue that a server cannot reach yet is not taken for one that does not exist",
            arguments: [
                "home node 'rabbit@a' of durable queue 'q' in vhost '/' is down or inaccessible",
                "queue 'q' in vhost '/' process is stopped by supervisor",
            ]
        )
        func unreachable(_ text: String) {
            let missing = ConsumerChannel.Failure(code: 404, text: "NOT_FOUND - no queue 'q' in vhost '/'")
            #expect((missing.error("q") as? SourceError)?.code == .unknownTopic)
            let error = ConsumerChannel.Failure(code: 404, text: "NOT_FOUND - \(text)").error("q") as? RabbitMQError
            #expect(error?.code == .refused && error?.isRetriable == true)
        }

        @Test("A channel that opens and may not consume is opened later each time, until it has consumed")
        func refused() {
            var channel = Self.assigned()
            let closed = Method.channelClosed(code: 403, text: "in exclusive use")
            var now: Int64 = 0
            for due in [10, 30, 60] as [Int64] {
                #expect(channel.start() == [.consume])
                _ = channel.handle(closed, at: now, delay: Self.delay)
                #expect(channel.due == due)
                now = due
                #expect(channel.open(at: now) == [.open])
                for answer in [.channelOpened, .queueFound, .prefetchSet] as [Method] {
                    _ = channel.handle(answer, at: now, delay: Self.delay)
                }
            }
            _ = channel.start()
            #expect(channel.handle(.consuming, at: now, delay: Self.delay) == [])
            _ = channel.handle(closed, at: now, delay: Self.delay)
            #expect(channel.due == now + 10)
        }

        @Test("A consumer that the server cancels is lost at once, and its channel opened anew")
        func cancelled() {
            var channel = Self.assigned()
            _ = channel.start()
            channel.unacked.deliver()
            #expect(
                channel.handle(.cancelled, at: 5, delay: Self.delay) == [.lose(Self.identity, .cancelled), .leave]
            )
            #expect(!channel.isAssigned && channel.due == nil)
            #expect(channel.handle(.channelLeft, at: 5, delay: Self.delay) == [])
            #expect(channel.open(at: 15) == [.open])
            // Tags begin anew.
            #expect(channel.unacked.next == 1 && channel.unacked.count == 0)
        }

        @Test("A channel that the server closes is lost under the name that it was assigned under")
        func closed() {
            let method = Method.channelClosed(code: 406, text: "x")
            let failure = ConsumerChannel.Failure(code: 406, text: "x")
            for isStarted in [false, true] {
                var channel = Self.assigned()
                if isStarted { _ = channel.start() }
                let actions = channel.handle(method, at: 0, delay: Self.delay)
                #expect(actions == [.confirmClosed, .lose(Self.identity, failure)])
                #expect(channel.identity == nil && channel.due == 10)
            }
        }

        @Test("A channel that is closed for a message that was not acked in time is told with what to do")
        func remedy() {
            let texts = [
                "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. "
                    + "This timeout value can be configured, see consumers doc guide to learn more",
                "PRECONDITION_FAILED - unknown delivery tag 9",
            ]
            let told = texts.map {
                ConsumerChannel.Failure(code: 406, text: $0).summary.contains("raise that or lower the prefetch")
            }
            #expect(told == [true, false])
        }

        @Test("It is lost once, though the server closes it while it is being left")
        func closedWhileLeaving() {
            var channel = Self.assigned()
            _ = channel.start()
            _ = channel.handle(.cancelled, at: 0, delay: Self.delay)
            let closed = Method.channelClosed(code: 406, text: "x")
            #expect(channel.handle(closed, at: 0, delay: Self.delay) == [.confirmClosed])
        }

        @Test("With its connection it begins anew, without a delay of its own")
        func disconnected() {
            var channel = Self.assigned()
            _ = channel.start()
            channel.disconnect()
            #expect(!channel.isAssigned && channel.start() == [])
            #expect(channel.open(at: 0) == [.open])
        }
    }
#endif
