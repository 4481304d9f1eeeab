#if RabbitMQ
    import Seeds
    import Testing

    @testable import Ratchet
    @testable import RatchetRabbitMQ

    @Suite("Fuzzing: the texts of RabbitMQ", .fuzzing)
    struct RabbitMQTextTests {
        private static func client() throws -> ManagementClient {
            ManagementClient(address: try RabbitMQAddress("amqp://bob:geheim@h"), port: 1, timeout: .seconds(1))
        }

        private static func answer(_ body: String) -> [UInt8] {
            Array("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\(body)".utf8)
        }

        private static func queue(_ random: inout SeededRandom) -> String {
            let number = ["0", "-1", "9223372036854775807", "1e308", "0.5", "null", #""text""#][random.below(7)]
            return """
                {"type":"\(random.chance(50) ? "quorum" : "classic")","durable":true,"members":["a"],"auto_delete":false,
                "exclusive":false,"arguments":{"x-max-length":\(number),"x-message-ttl":\(number),"x-expires":\(number)},
                "effective_policy_definition":{"delivery-limit":\(number),"overflow":"drop-head"},"messages":\(number),
                "messages_persistent":\(number),"consumer_details":[{"ack_required":true}],"policy":"p"}
                """
        }

        @Test(
            "An answer of the management API that is damaged is an error, or facts that the audit takes as they are",
            arguments: Seed.some(1)
        )
        func management(seed: Seed) async throws {
            let client = try Self.client()
            try await Fuzz.run("management-api", seed, rounds: 2_000) { random in
                let whole = Self.answer(Self.queue(&random))
                let deep = String(repeating: random.chance(50) ? "[" : #"{"type":"#, count: random.below(3_000))
                let other = Array((random.chance(10) ? deep : #"1e999\ud800"00,"arguments":[]}"#).utf8)
                let bytes = random.chance(95) ? whole.damaged(by: other, &random) : whole
                let json: JSON
                do throws(RabbitMQError) { json = try client.json(of: bytes, at: "/api/queues") } catch {
                    return #expect(bytes != whole && !"\(error)".contains("geheim"))
                }
                // A window, to which the queue's limits are compared.
                let ledger = AuditedChain.Ledger(isDurable: .known(true), window: .known(DeduplicationWindow()))
                let chain = AuditedChain(topic: QueueChecks.topic(.known(json)), ledger: ledger)
                let own = QueueChecks.of(.known(json)) + [QueueChecks.alternate(.known(json), policy: .known(json))]
                let checks = Audit.of(chain).checks + own
                #expect(checks.count > 10)
            }
        }

        @Test("Arrays within arrays are read or refused, however deep", arguments: [10, 100, 500, 100_000, 4 << 20])
        func nested(depth: Int) async throws {
            let client = try Self.client()
            for (begin, end) in [("[", "]"), (#"{"a":"#, "}")] {
                let inner = begin == "[" ? "" : "0"
                let texts = (String(repeating: begin, count: depth), String(repeating: end, count: depth))
                let bytes = Self.answer(texts.0 + inner + texts.1)
                // On a thread like the audit's.
                let json = try await Asking.blocking { try? client.json(of: bytes, at: "/") }
                #expect((json == nil) == (depth > 10))
            }
        }

        @Test("A URL that is damaged is refused without a word of it, or names one place", arguments: Seed.some(1))
        func address(seed: Seed) async throws {
            try await Fuzz.run("rabbitmq-address", seed, rounds: 10_000) { random in
                let urls = [
                    "amqp://bob:secret@host:5672/v%2F1/orders", "amqps://h?cacertfile=/ca&certfile=/c&keyfile=/k",
                    "amqps://bob@[::1]:99/%C3%BC?verify=verify_none&auth_mechanism=external",
                ]
                let bytes = Array(urls[random.below(3)].utf8)
                let url = String(decoding: bytes.damaged(by: Array(urls[random.below(3)].utf8), &random), as: UTF8.self)
                _ = try? RabbitMQAddress.withQueue(url)
                do throws(RabbitMQError) {
                    let address = try RabbitMQAddress(url)
                    #expect(1...65_535 ~= address.port && address.host.utf8.count <= 255)
                    guard address.host.allSatisfy({ $0.isLetter || $0.isNumber }) else { return }
                    let again = try RabbitMQAddress(address.description)
                    #expect(again.description == address.description && again.virtualHost == address.virtualHost)
                } catch {
                    #expect(error.code == .invalidAddress && !error.detail.contains("secret"), "\(url)")
                }
            }
        }
    }
#endif
