import Seeds
import Testing

@testable import Ratchet

@Suite("Hashes agree with the published vectors")
struct HashVectorTests {
    // The first lines of the reference implementation's vectors_sip64, read as little-endian integers.
    private static let sipHash: [UInt64] = [
        0x726f_db47_dd0e_0e31, 0x74f8_39c5_93dc_67fd, 0x0d6c_8009_d9a9_4f5a, 0x8567_6696_d7fb_7e2d,
        0xcf27_94e0_2771_87b7, 0x1876_5564_cd99_a68d, 0xcbc9_466e_58fe_e3ce, 0xab02_00f5_8b01_d137,
        0x93f5_f579_9a93_2462,
    ]

    private static func xxh64(_ text: String, seed: UInt64 = 0) -> UInt64 {
        Array(text.utf8).withUnsafeBytes { Checksum.xxh64($0, seed: seed) }
    }

    @Test("SipHash-2-4")
    func sipHash() {
        let fingerprint = Fingerprint(secret: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
        for (length, expected) in Self.sipHash.enumerated() {
            #expect((0..<UInt8(length)).map { $0 }.withUnsafeBytes { fingerprint($0) } == expected)
        }
        #expect((0..<15 as Range<UInt8>).map { $0 }.withUnsafeBytes { fingerprint($0) } == 0xa129_ca61_49be_45e5)
    }

    @Test("A fingerprint of few bits is the low end of the whole one", arguments: [0, 1, 8, 63, 64])
    func fewBits(bits: Int) {
        let whole = Fingerprint(secret: (1, 2))
        let short = Fingerprint(secret: (1, 2), bits: bits)
        let mask = bits == 64 ? UInt64.max : (1 << UInt64(bits)) - 1
        for length in 0..<40 {
            let bytes = [UInt8](repeating: 7, count: length)
            #expect(bytes.withUnsafeBytes { short($0) } == bytes.withUnsafeBytes { whole($0) } & mask)
        }
    }

    @Test("XXH64")
    func xxh64() {
        #expect(Self.xxh64("") == 0xEF46_DB37_51D8_E999)
        #expect(Self.xxh64("a") == 0xD24E_C4F1_A98C_6E5B)
        #expect(Self.xxh64("abc") == 0x44BC_2CF5_AD77_0999)
        #expect(Self.xxh64("Nobody inspects the spammish repetition") == 0xFBCE_A83C_8A37_8BF1)
        #expect(Self.xxh64("xxhash", seed: 20_141_025) == 13_067_679_811_253_438_005)
    }

    @Test("SHA-256")
    func sha256() {
        let hash = Array("abc".utf8).withUnsafeBytes { StrongHash.sha256($0) }
        #expect(hash.hexadecimal == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
}
