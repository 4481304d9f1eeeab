#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// What a session does that not every broker's does.
        @Suite struct SessionTests {
            private static func topology(
                _ queue: String,
                deadLetters: String? = nil,
                kind: RabbitMQQueue.Kind = .quorum
            ) async throws -> RabbitMQAddress {
                let address = try await RabbitMQServer.running().address
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(queue, kind: kind), deadLetters: deadLetters)
                try await topology.declare(at: address, configuration: .quick)
                return address
            }

            private static func open(
                _ queue: String,
                _ address: RabbitMQAddress,
                prefetch: Int = 100,
                _ configuration: RabbitMQConfiguration = .quick
            ) async throws -> (RabbitMQSession, Assignment) {
                let source = try RabbitMQSubscription(
                    to: queue,
                    at: address,
                    as: "g",
                    prefetch: prefetch,
                    configuration: configuration
                )
                let session = try #require(try await source.open() as? RabbitMQSession)
                return (session, try await started(session))
            }

            private static func started(_ session: RabbitMQSession) async throws -> Assignment {
                while true {
                    guard case .assigned(let assignments) = try await session.next() else { continue }
                    let assignment = assignments[0]
                    try await session.start(assignment.partition, at: 1, generation: assignment.generation)
                    return assignment
                }
            }

            private static func messages(_ session: RabbitMQSession, _ count: Int) async throws -> [Message] {
                var messages: [Message] = []
                while messages.count < count {
                    guard case .messages(let batch) = try await session.next() else { continue }
                    messages += (0..<batch.count).map { batch[$0] }
                }
                return messages
            }

            private static func ack(_ assignment: Assignment, through: Int64? = nil, _ tags: [Int64]) -> QueueAck {
                QueueAck(
                    partition: assignment.partition,
                    generation: assignment.generation,
                    through: through,
                    tags: tags
                )
            }

            private static func produce(_ numbers: Range<Int>, _ queue: String, _ address: RabbitMQAddress) async throws
            {
                try await PlainProducer.send(numbers.map { .numbered($0, to: queue) }, at: address)
            }

            @Test("A nack with requeue brings a message back, counted; one without sends it to the dead letters")
            func nacks() async throws {
                let address = try await Self.topology("nacks", deadLetters: "nacks.dead")
                try await Self.produce(0..<3, "nacks", address)
                let (session, assignment) = try await Self.open("nacks", address)
                #expect(try await Self.messages(session, 3).map(\.text) == ["0", "1", "2"])
                try await session.nack([Self.ack(assignment, [2])], requeue: true)
                let again = try await Self.messages(session, 1)[0]
                #expect(again.text == "1" && again.deliveryCount == 2 && again.offset == 4)
                try await session.nack([Self.ack(assignment, [4])], requeue: false)
                try await session.ack([Self.ack(assignment, through: 3, [])])
                await session.close()
                let (dead, _) = try await Self.open("nacks.dead", address)
                let letter = try await Self.messages(dead, 1)[0]
                #expect(letter.text == "1" && letter.header("message-id") == Array("id-1".utf8))
                await dead.close()
                #expect(try await PlainReader.contents(of: "nacks", at: address).isEmpty)
            }

            @Test("One slow message does not fill the prefetch: those above it are acked singly, and others come")
            func slow() async throws {
                let address = try await Self.topology("slow")
                try await Self.produce(0..<40, "slow", address)
                let (session, assignment) = try await Self.open("slow", address, prefetch: 4)
                var texts: [String] = []
                while texts.count < 40 {
                    let others = try await Self.messages(session, 1)
                    try await session.ack([Self.ack(assignment, others.map(\.offset).filter { $0 > 1 })])
                    texts += others.map(\.text)
                }
                #expect(texts == (0..<40).map { "\($0)" })
                await session.close()
                #expect(try await PlainReader.contents(of: "slow", at: address).map(\.text) == ["0"])
            }

            @Test("No more than the prefetch is in flight")
            func prefetch() async throws {
                let address = try await Self.topology("prefetch")
                try await Self.produce(0..<20, "prefetch", address)
                let (session, _) = try await Self.open("prefetch", address, prefetch: 5)
                _ = try await Self.messages(session, 5)
                #expect(try await PlainReader.contents(of: "prefetch", at: address).count == 15)
                await session.close()
            }

            @Test("A tag that was never delivered is refused, and the channel goes on")
            func unknownTag() async throws {
                let address = try await Self.topology("unknown-tag")
                try await Self.produce(0..<1, "unknown-tag", address)
                let (session, assignment) = try await Self.open("unknown-tag", address)
                _ = try await Self.messages(session, 1)
                let error = await #expect(throws: SourceError.self) {
                    try await session.ack([Self.ack(assignment, [9])])
                }
                #expect(error?.code == .invalidArgument)
                try await session.ack([Self.ack(assignment, [1])])
                await session.close()
                #expect(try await PlainReader.contents(of: "unknown-tag", at: address).isEmpty)
            }

            @Test("A server that crashes: the channel is lost, its acks are fenced, and another one is assigned")
            func crash() async throws {
                // A quorum queue that was just made has no leader after a crash.
                let address = try await Self.topology("crash", kind: .classic)
                try await RabbitMQServer.running().keepDeclarations()
                try await Self.produce(0..<3, "crash", address)
                let (session, old) = try await Self.open("crash", address)
                _ = try await Self.messages(session, 3)
                try await session.ack([Self.ack(old, [2])])
                try await RabbitMQServer.running().crash()
                guard case .lost(let lost) = try await session.next() else {
                    Issue.record("the channel was not told as lost")
                    return
                }
                #expect(lost == [old.partition])
                let error = await #expect(throws: SourceError.self) { try await session.ack([Self.ack(old, [1])]) }
                #expect(error?.code == .fenced)
                let new = try await Self.started(session)
                #expect(new.partition != old.partition && new.generation > old.generation)
                // The ack was the server's: what it had taken in before the crash it may have lost.
                let again = try await Self.messages(session, 2)
                #expect(Set(again.map(\.text)).isSuperset(of: ["0", "2"]) || again.map(\.text) == ["0", "1"])
                await session.close()
            }

            @Test("While nobody asks for messages the connection lives on")
            func heartbeats() async throws {
                let address = try await Self.topology("heartbeats")
                var configuration = RabbitMQConfiguration.quick
                // A machine with much to do may hold this process up for seconds.
                configuration.heartbeat = .seconds(4)
                let (session, assignment) = try await Self.open("heartbeats", address, configuration)
                // Twice the two heartbeats after which a side that is silent is given up.
                _ = await Latch().wait(atMost: .seconds(16), clock: ContinuousClock())
                try await Self.produce(0..<1, "heartbeats", address)
                guard case .messages(let batch) = try await session.next() else {
                    Issue.record("the channel was lost")
                    return
                }
                try await session.ack([Self.ack(assignment, [batch.lastOffset])])
                await session.close()
            }

            @Test("A server that stands still is given up by its heartbeats, and consumed from again")
            func standstill() async throws {
                let server = try await RabbitMQServer.running()
                let address = try await Self.topology("standstill")
                let (session, old) = try await Self.open("standstill", address)
                try await server.order("pause")
                guard case .lost(let lost) = try await session.next() else {
                    Issue.record("the channel was not told as lost")
                    return
                }
                #expect(lost == [old.partition])
                try await server.order("resume")
                _ = try await Self.started(session)
                try await Self.produce(0..<1, "standstill", address)
                #expect(try await Self.messages(session, 1)[0].text == "0")
                await session.close()
            }

            @Test("A message beyond what is taken ends the session with an error, and stays in its queue")
            func tooLarge() async throws {
                let address = try await Self.topology("too-large")
                let message = OutgoingMessage(to: "too-large", payload: Array(repeating: 1, count: 2_000))
                try await PlainProducer.send([message], at: address)
                var configuration = RabbitMQConfiguration.quick
                configuration.maximumMessageSize = 1_999
                let (session, _) = try await Self.open("too-large", address, configuration)
                let error = await #expect(throws: RabbitMQError.self) { while true { _ = try await session.next() } }
                #expect(error?.code == .tooLarge)
                await session.close()
                #expect(try await PlainReader.contents(of: "too-large", at: address).count == 1)
            }

            @Test("A queue that is deleted is lost alone, and consumed from again once it is made anew")
            func deleted() async throws {
                let address = try await Self.topology("deleted")
                let (session, old) = try await Self.open("deleted", address)
                try await Asking.connected(to: address, .quick) { try $0.deleteQueue("deleted") }
                guard case .lost(let lost) = try await session.next() else {
                    Issue.record("the channel was not told as lost")
                    return
                }
                #expect(lost == [old.partition])
                _ = try await Self.topology("deleted")
                let new = try await Self.started(session)
                #expect(new.generation > old.generation)
                try await Self.produce(0..<1, "deleted", address)
                #expect(try await Self.messages(session, 1)[0].text == "0")
                await session.close()
            }
        }
    }
#endif
