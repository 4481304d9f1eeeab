import Ratchet
import Testing

@testable import RatchetTesting

@Suite("Simulation: topics made anew")
struct IncarnationsTests {
    @Test("A generation's partition is that of the topic it was assigned in, in whatever order it is told")
    func names() {
        let partition = TopicPartition("orders", 1)
        var incarnations = Incarnations()
        incarnations.assigned(partition, 3, of: "first")
        incarnations.assigned(partition, 9, of: "second")
        incarnations.assigned(partition, 5, of: "first")
        incarnations.assigned(partition, 9, of: "second")
        let anew = TopicPartition("orders, made anew 1", 1)
        for generation in [3, 4, 5, 8] as [Int64] {
            #expect(incarnations.name(of: partition, generation) == partition)
        }
        for generation in [9, 10] as [Int64] { #expect(incarnations.name(of: partition, generation) == anew) }
        #expect(incarnations.earlierNames(of: partition, 5) == [])
        #expect(incarnations.earlierNames(of: partition, 9) == [partition])
        #expect(incarnations.name(of: partition, in: "first") == partition)
        #expect(incarnations.name(of: TopicPartition("orders", 0), in: "second").topic == anew.topic)
        #expect(incarnations.name(of: partition, in: "third") == TopicPartition("orders, made anew 2", 1))
    }
}
