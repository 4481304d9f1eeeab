/// XXH64 by Yann Collet: guards stored chunks against decay and tells records apart. Not a defence against forgery.
package enum Checksum {
    private static let p1: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let p2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private static let p3: UInt64 = 0x1656_67B1_9E37_79F9
    private static let p4: UInt64 = 0x85EB_CA77_C2B2_AE63
    private static let p5: UInt64 = 0x27D4_EB2F_1656_67C5

    @inline(__always)
    private static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
        (value &<< bits) | (value &>> (64 &- bits))
    }

    @inline(__always)
    private static func round(_ accumulator: UInt64, _ input: UInt64) -> UInt64 {
        rotate(accumulator &+ input &* p2, 31) &* p1
    }

    @inline(__always)
    private static func merge(_ hash: UInt64, _ accumulator: UInt64) -> UInt64 {
        (hash ^ round(0, accumulator)) &* p1 &+ p4
    }

    /// The XXH64 of `bytes`; pass the last result as `seed` to chain several pieces.
    package static func xxh64(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
        let length = bytes.count
        var at = 0
        var hash: UInt64
        if length >= 32, let base = bytes.baseAddress {
            var (v1, v2, v3, v4) = (seed &+ p1 &+ p2, seed &+ p2, seed, seed &- p1)
            while at &+ 32 <= length {
                v1 = round(v1, base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                v2 = round(v2, base.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self))
                v3 = round(v3, base.loadUnaligned(fromByteOffset: at &+ 16, as: UInt64.self))
                v4 = round(v4, base.loadUnaligned(fromByteOffset: at &+ 24, as: UInt64.self))
                at &+= 32
            }
            hash = rotate(v1, 1) &+ rotate(v2, 7) &+ rotate(v3, 12) &+ rotate(v4, 18)
            hash = merge(merge(merge(merge(hash, v1), v2), v3), v4)
        } else {
            hash = seed &+ p5
        }
        hash = hash &+ UInt64(length)
        while at &+ 8 <= length {
            hash = rotate(hash ^ round(0, bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)), 27) &* p1 &+ p4
            at &+= 8
        }
        if at &+ 4 <= length {
            let word = UInt64(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
            hash = rotate(hash ^ (word &* p1), 23) &* p2 &+ p3
            at &+= 4
        }
        while at < length {
            hash = rotate(hash ^ (UInt64(bytes[at]) &* p5), 11) &* p1
            at &+= 1
        }
        hash = (hash ^ (hash &>> 33)) &* p2
        hash = (hash ^ (hash &>> 29)) &* p3
        return hash ^ (hash &>> 32)
    }
}
