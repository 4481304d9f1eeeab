import Ratchet
import RatchetTesting
import Synchronization
import Testing

@Suite("History")
struct HistoryTests {
    @Test("An event takes 32 bytes")
    func size() { #expect(MemoryLayout<History.Event>.stride == 32) }

    @Test("A name stands for one thing, however often it is asked for")
    func names() throws {
        var history = History()
        let partitions = try (0..<3).map { try history.partition(TopicPartition("orders", $0)) }
        #expect(try history.partition(TopicPartition("orders", 1)) == partitions[1])
        #expect(history.message("a") == history.message("a") && history.message("a") != history.message("b"))
        #expect(history.key("a", in: partitions[0]) != history.key("a", in: partitions[1]))
        #expect(history.name(of: history.message("b")) == "b" && history.name(of: partitions[2]) == "orders/2")
        #expect(history.messageCount == 2 && history.partitionCount == 3 && history.keyCount == 2)
    }

    @Test("One partition more than a history holds is refused")
    func partitions() throws {
        var history = History()
        for index in 0..<History.maximumPartitions { _ = try history.partition(TopicPartition("orders", index)) }
        #expect { try history.partition(TopicPartition("orders", -1)) } throws: {
            ($0 as? HistoryError)?.code == .tooManyPartitions
        }
        #expect(try history.partition(TopicPartition("orders", 7)) == history.partition(TopicPartition("orders", 7)))
    }

    @Test("Threads that record at once leave events in the order of time, none missing")
    func recorder() async throws {
        let ticks = Atomic<Int64>(0)
        let time = TimeSource(wall: { 0 }, monotonic: { ticks.add(1, ordering: .relaxed).newValue })
        let recorder = HistoryRecorder(time: time)
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    for index in 0..<250 {
                        recorder.record { .sending($0.message("\(worker)/\(index)"), by: $0.producer("\(worker)")) }
                    }
                }
            }
        }
        let history = recorder.history
        #expect(history.events.map(\.time) == (1...1000).map { $0 })
        #expect(history.messageCount == 1000 && HistoryChecker.check(history).counts.sentUnknown == 1000)
    }
}
