#if RabbitMQ
    import Ratchet
    import Synchronization
    import Testing

    @testable import RatchetRabbitMQ

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    extension RabbitMQ {
        /// What a consumer's connection makes of a server that keeps it and does not answer: what is read from the real one is
        /// held back here.
        @Suite struct UnansweredTests {
            private let desk = ConsumerDesk()
            private let role: ConsumerRole
            private let wire: Wire

            init() async throws {
                let address = try await RabbitMQServer.running().address
                var configuration = RabbitMQConfiguration.quick
                configuration.timeout = .seconds(2)
                wire = try Wire(address, .quick)
                let queues = ["unanswered-1", "unanswered-2"]
                role = ConsumerRole(queues: queues, prefetch: 10, desk: desk, configuration: configuration)
            }

            private static func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }

            private func work(at milliseconds: Int64) throws -> Bool {
                try role.work(wire, at: Self.milliseconds(milliseconds))
            }

            private func answer(_ method: Method, _ channel: UInt16, at milliseconds: Int64 = 0) throws {
                try role.take(.method(channel: channel, method), wire, at: Self.milliseconds(milliseconds))
            }

            private func assignBoth() throws {
                let answers: [Method] = [.channelOpened, .queueFound, .prefetchSet]
                for channel in [1, 2] as [UInt16] { for method in answers { try answer(method, channel) } }
            }

            /// What comes late is read before the server is given up.
            private func expectGivenUp(_ queue: String, at milliseconds: Int64) throws {
                #expect(try !work(at: milliseconds - 1))
                #expect(try work(at: milliseconds))
                let error = #expect(throws: RabbitMQError.self) { try work(at: milliseconds) }
                #expect(error?.code == .timedOut && error?.detail.contains(queue) == true, "\(error as RabbitMQError?)")
            }

            @Test("A channel that is not opened ends the connection in time, whatever comes of others")
            func opening() throws {
                #expect(try !work(at: 0))
                #expect(role.deadline == Self.milliseconds(2_000))
                try answer(.channelOpened, 1, at: 1_500)
                #expect(try !work(at: 1_500))
                try expectGivenUp("unanswered-2", at: 2_000)
            }

            @Test("What has come before the limit counts, though it is read after it")
            func late() throws {
                #expect(try !work(at: 0))
                #expect(try work(at: 9_000))
                try assignBoth()
                #expect(try !work(at: 9_000))
                #expect(role.deadline == nil)
            }

            @Test("A consumer that is not let in ends the connection in time")
            func consuming() throws {
                #expect(try !work(at: 0))
                try assignBoth()
                let identity = try #require(desk.state.withLock { $0.channels.first?.identity })
                try desk.start(identity.partition, at: 1, identity.generation)
                #expect(try !work(at: 500))
                try expectGivenUp("unanswered-1", at: 2_500)
            }

            @Test("An ack that is not answered ends the connection in time, and is fenced")
            func acking() async throws {
                #expect(try !work(at: 0))
                try assignBoth()
                let error = try await settled {
                    #expect(try !work(at: 500))
                    try expectGivenUp("unanswered-1", at: 2_500)
                    role.disconnected(RabbitMQError(.timedOut, ""), delay: 0)
                }
                #expect((error as? SourceError)?.code == .fenced, "\(error as (any Error)?)")
            }

            @Test("An ack that was not sent as something before it failed is fenced, and not waited for")
            func unsent() async throws {
                let identity = ConsumerChannel.Identity(partition: TopicPartition("unanswered-1", 1), generation: 1)
                desk.assigned(identity)
                shutdown(wire.descriptor, CInt(SHUT_RDWR))
                let error = try await settled {
                    #expect(throws: RabbitMQError.self) { try work(at: 0) }
                }
                #expect((error as? SourceError)?.code == .fenced, "\(error as (any Error)?)")
            }

            /// How an ack on the first channel ends, which is asked for before `body`.
            private func settled(_ body: () throws -> Void) async throws -> (any Error)? {
                let desk = desk
                guard let identity = desk.state.withLock({ $0.channels.first?.identity }) else { return nil }
                let ack = QueueAck(
                    partition: identity.partition,
                    generation: identity.generation,
                    through: nil,
                    tags: []
                )
                async let settling: (any Error)? = {
                    do { try await desk.settle([ack], .ack) } catch { return error }
                    return nil
                }()
                while desk.state.withLock({ $0.requests.isEmpty }) { await Task.yield() }
                try body()
                return await settling
            }
        }
    }
#endif
