#if Kafka
    import CoreMetrics
    import MetricsTestKit
    import Ratchet
    import Testing

    @testable import RatchetKafka

    @Suite struct GenerationTests {
        @Test("Generations rise with the group's, and within one of the group's with the session's beginning")
        func rise() {
            let began: Int64 = 1_800_000_000_000
            let first = Generation.combined(group: 7, began: began)
            #expect(Generation.combined(group: 7, began: began + 64) > first)
            #expect(Generation.combined(group: 8, began: began - 1_000_000_000) > first)
            #expect(Generation.combined(group: .max, began: began) > first)
            #expect(Generation.combined(group: 0, began: began) >= 0)
        }

        @Test("Bytes that are no group's metadata have no generation")
        func read() {
            let metadata = Array("CGMDv2:".utf8) + [9, 0, 0, 0] + Array("group".utf8)
            #expect(metadata.withUnsafeBytes { Generation.read($0) } == 9)
            for wrong in [[], Array(metadata.prefix(10)), Array("CGMDv3:".utf8) + [9, 0, 0, 0]] {
                #expect(wrong.withUnsafeBytes { Generation.read($0) } == nil)
            }
            let none = Array("CGMDv2:".utf8) + [255, 255, 255, 255]
            #expect(none.withUnsafeBytes { Generation.read($0) } == nil)
        }
    }

    @Suite struct StatisticsReportTests {
        @Test("Of the statistics the partitions that are read are told, with their ends")
        func partitions() throws {
            let json = """
                {"name":"x","topics":{"t":{"topic":"t","partitions":{
                "1":{"partition":1,"fetch_state":"active","ls_offset":12,"fetchq_cnt":3,"other":true},
                "0":{"partition":0,"fetch_state":"active","ls_offset":-1001,"fetchq_cnt":0},
                "-1":{"partition":-1,"fetch_state":"none","ls_offset":-1001,"fetchq_cnt":0}}}}}
                """
            let report = try Array(json.utf8).withUnsafeBytes { try StatisticsReport($0) }
            #expect(
                report.partitions == [
                    .init(partition: TopicPartition("t", 0), end: nil, prefetched: 0),
                    .init(partition: TopicPartition("t", 1), end: 12, prefetched: 3),
                ]
            )
        }

        @Test("What is no report is an error")
        func wrong() {
            #expect(throws: (any Error).self) { try Array("{}".utf8).withUnsafeBytes { try StatisticsReport($0) } }
        }
    }

    @Suite struct KafkaMetricsTests {
        private static let partition = TopicPartition("t", 1)

        private func report(_ metrics: KafkaMetrics) {
            let json = """
                {"topics":{"t":{"topic":"t","partitions":{
                "1":{"partition":1,"fetch_state":"active","ls_offset":12,"fetchq_cnt":3}}}}}
                """
            Array(json.utf8).withUnsafeBytes { metrics.record($0, ClientReports(MockCluster.silent)) }
        }

        @Test("A partition that was given back has no lag, whatever is heard of it later")
        func forgotten() {
            let factory = TestMetrics()
            let metrics = KafkaMetrics(group: "g", factory: factory)
            metrics.assigned(Self.partition, 5)
            metrics.committed(Self.partition, 7)
            report(metrics)
            let gauges = factory.recorders.sorted { $0.label < $1.label }
            #expect(gauges.map(\.label) == ["ratchet.kafka.lag", "ratchet.kafka.prefetched"])
            #expect(gauges.map(\.lastValue) == [5, 3])
            metrics.forget([Self.partition])
            #expect(gauges.map(\.lastValue) == [0, 0])
            metrics.committed(Self.partition, 9)
            report(metrics)
            #expect(gauges.map(\.lastValue) == [0, 0])
            metrics.assigned(Self.partition, 9)
            report(metrics)
            #expect(gauges.map(\.lastValue) == [3, 3])
        }
    }

    @Suite struct SendOutcomeTests {
        @Test("Behind a message that fails those of its topic and key fail, confirmed ones too, and no others")
        func behind() throws {
            let batch = try OutgoingBatch([
                OutgoingMessage(to: "t", key: "k", payload: [0]), OutgoingMessage(to: "t", key: "k", payload: [1]),
                OutgoingMessage(to: "t", key: "k", payload: [2]), OutgoingMessage(to: "u", key: "k", payload: [3]),
                OutgoingMessage(to: "t", key: "l", payload: [4]), OutgoingMessage(to: "t", payload: [5]),
                OutgoingMessage(to: "t", key: "k", payload: [6]),
            ])
            var outcome = SendOutcome(count: 7)
            #expect(outcome.open == Array(0..<7))
            for index in [0, 2, 3] { outcome.settle(index, .confirmed) }
            outcome.settle(1, .failed(KafkaError(.timedOut, "")))
            outcome.failBehind(in: batch)
            #expect(outcome.failures.map(\.index) == [1, 2, 6])
            #expect(outcome.open == [4, 5])
            outcome.failBehind(in: batch)
            #expect(outcome.failures.map(\.index) == [1, 2, 6])
        }
    }

    @Suite struct TopicDescriptionTests {
        private func audited(_ settings: [String: String], replicas: [Int] = [3, 3]) -> AuditedChain.Topic {
            TopicDescription(replicas: replicas, settings: .success(settings)).audited
        }

        private let safe = [
            "min.insync.replicas": "2", "unclean.leader.election.enable": "false", "retention.ms": "86400000",
            "cleanup.policy": "delete", "flush.messages": "9223372036854775807", "retention.bytes": "-1",
        ]

        @Test("A topic that is well kept passes")
        func safeTopic() {
            let report = Audit.of(AuditedChain(topic: audited(safe)))
            #expect(report.verdict == .pass, "\(report)")
            #expect(audited(safe).retention == .known(.seconds(86_400)))
        }

        @Test("The fewest replicas that a partition has are what the topic has")
        func replicas() { #expect(audited(safe, replicas: [3, 1, 3]).replicationFactor == .known(1)) }

        @Test("One in-sync replica confirms what is in memory alone, unless each message is synced")
        func confirmation() {
            var settings = safe
            settings["min.insync.replicas"] = "1"
            #expect(audited(settings).confirmsAfterWrite == .known(false))
            settings["flush.messages"] = "1"
            #expect(audited(settings).confirmsAfterWrite == .known(true))
        }

        @Test("A topic that is compacted, or keeps all, keeps messages for ever")
        func forEver() {
            var settings = safe
            settings["retention.ms"] = "-1"
            #expect(audited(settings).retention == .known(nil))
            settings["retention.ms"] = "1000"
            settings["cleanup.policy"] = "compact"
            #expect(audited(settings).retention == .known(nil))
            settings["cleanup.policy"] = "compact,delete"
            #expect(audited(settings).retention == .known(.seconds(1)))
        }

        @Test("What a topic forgets by size, or when a key has a newer message, is a warning of an audit")
        func forgets() {
            #expect(audited(safe).sizeLimit == .known(nil) && audited(safe).isCompacted == .known(false))
            var settings = safe
            settings["retention.bytes"] = "1000000"
            #expect(audited(settings).sizeLimit == .known(1_000_000))
            settings["cleanup.policy"] = "compact,delete"
            let report = Audit.of(AuditedChain(topic: audited(settings)))
            let warned = report.checks.filter { $0.verdict == .warn }.map(\.name)
            #expect(warned == ["topic.size-limit", "topic.compaction"], "\(report)")
            settings["cleanup.policy"] = "compact"
            #expect(audited(settings).sizeLimit == .known(nil) && audited(settings).isCompacted == .known(true))
        }

        @Test("What was not told, or makes no sense, could not be read")
        func unreadable() {
            var settings = safe
            settings["min.insync.replicas"] = "many"
            settings["unclean.leader.election.enable"] = nil
            settings["cleanup.policy"] = nil
            let topic = audited(settings)
            for report in [
                Audit.of(AuditedChain(topic: topic)),
                Audit.of(
                    AuditedChain(
                        topic: TopicDescription(replicas: [3], settings: .failure(KafkaError(.timedOut, "no right")))
                            .audited
                    )
                ),
            ] {
                let names = report.checks.filter { $0.verdict == .unreadable }.map(\.name)
                for name in ["min-in-sync-replicas", "unclean-election", "size-limit", "compaction"] {
                    #expect(names.contains("topic.\(name)"), "\(report)")
                }
            }
        }
    }
#endif
