import Testing

@testable import RatchetBroker

@Suite struct Murmur2Tests {
    @Test(
        "Keys hash as Kafka's Java client hashes them",
        arguments: [
            ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
        ] as [(String, Int32)]
    )
    func vectors(key: String, hash: Int32) {
        #expect(Array(key.utf8).withUnsafeBytes { Murmur2.hash($0) } == hash)
    }
}
