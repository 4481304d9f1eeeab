#if Kafka
    import Seeds
    import Testing

    @testable import Ratchet
    @testable import RatchetKafka

    @Suite("Fuzzing: the texts of Kafka", .fuzzing)
    struct KafkaTextTests {
        private static func statistics(_ random: inout SeededRandom) -> [UInt8] {
            let partitions = (0..<random.below(4)).map { number in
                let end = random.chance(80) ? "\(random.below(1_000))" : "9223372036854775807"
                let read = #""fetch_state":"active","ls_offset":\#(end),"fetchq_cnt":3"#
                return #""\#(number)":{"partition":\#(number),\#(read)}"#
            }
            return Array(#"{"topics":{"t":{"topic":"t","partitions":{\#(partitions.joined(separator: ","))}}}}"#.utf8)
        }

        @Test("Statistics that are damaged are an error, or a report in order", arguments: Seed.some(1))
        func statistics(seed: Seed) async throws {
            try await Fuzz.run("kafka-statistics", seed, rounds: 2_000) { random in
                let deep = String(repeating: random.chance(50) ? "[" : #"{"topics":"#, count: random.below(3_000))
                let other = Array((random.chance(10) ? deep : #"1e999\ud800"00,"partition":-1}"#).utf8)
                let whole = Self.statistics(&random)
                let bytes = random.chance(95) ? whole.damaged(by: other, &random) : whole
                guard let report = bytes.withUnsafeBytes({ try? StatisticsReport($0) }) else {
                    return #expect(bytes != whole)
                }
                let partitions = report.partitions.map(\.partition)
                #expect(partitions == partitions.sorted() && report.partitions.allSatisfy { $0.end ?? 0 >= 0 })
            }
        }

        @Test("Bytes that are no group's metadata have no generation", arguments: Seed.some(1))
        func generation(seed: Seed) async throws {
            try await Fuzz.run("kafka-generation", seed, rounds: 10_000) { random in
                let whole = Array("CGMDv2:".utf8) + [UInt8(random.below(256)), 0, 0, 0] + Array("group".utf8)
                let bytes = whole.damaged(by: whole, &random)
                guard let generation = bytes.withUnsafeBytes({ Generation.read($0) }) else { return }
                #expect(generation >= 0 && bytes.starts(with: "CGMDv2:".utf8))
                #expect(Generation.combined(group: generation, began: Int64(bitPattern: random.next())) >= 0)
            }
        }

        @Test("A topic's settings, whatever they say, are facts or could not be read", arguments: Seed.some(1))
        func settings(seed: Seed) async throws {
            let names = [
                "min.insync.replicas", "unclean.leader.election.enable", "retention.ms", "retention.bytes",
                "cleanup.policy", "flush.messages",
            ]
            try await Fuzz.run("kafka-topic", seed, rounds: 5_000) { random in
                let values = ["2", "-1", "9223372036854775807", "false", "compact,delete", "delete", "ß"]
                var settings: [String: String] = [:]
                for name in names where random.chance(90) {
                    let value = Array(values[random.below(values.count)].utf8)
                    let bytes = random.chance(50) ? value : value.damaged(by: [0xFF, 0x30], &random)
                    settings[name] = String(decoding: bytes, as: UTF8.self)
                }
                let replicas = (0..<random.below(3)).map { _ in random.below(4) }
                let topic = TopicDescription(replicas: replicas, settings: .success(settings)).audited
                let ledger = AuditedChain.Ledger(isDurable: .known(true), window: .known(DeduplicationWindow()))
                let checks = Audit.of(AuditedChain(topic: topic, ledger: ledger)).checks
                #expect(checks.count > 9)
                if replicas.isEmpty { #expect(checks.contains { $0.verdict == .unreadable }) }
            }
        }
    }
#endif
