/// SipHash-2-4 by Jean-Philippe Aumasson and Daniel J. Bernstein, keyed with a secret of the ledger: the fingerprint of
/// an idempotency key.
///
/// Nobody who does not know the secret can choose two keys with the same fingerprint; and a collision only costs a
/// look-up.
package struct Fingerprint: Sendable {
    private let k0: UInt64
    private let k1: UInt64
    /// Fewer bits than 64 only in tests, to have collisions.
    private let mask: UInt64

    package init(secret: (UInt64, UInt64), bits: Int = 64) {
        k0 = secret.0
        k1 = secret.1
        mask = bits >= 64 ? .max : (1 << UInt64(bits)) - 1
    }

    package func callAsFunction(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var v = (
            k0 ^ 0x736f_6d65_7073_6575, k1 ^ 0x646f_7261_6e64_6f6d, k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573
        )
        let length = bytes.count
        let whole = length & ~7
        var at = 0
        while at < whole {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            v.3 ^= word
            Self.round(&v)
            Self.round(&v)
            v.0 ^= word
            at &+= 8
        }
        var last = UInt64(length) &<< 56
        var shift: UInt64 = 0
        while at < length {
            last |= UInt64(bytes[at]) &<< shift
            shift &+= 8
            at &+= 1
        }
        v.3 ^= last
        Self.round(&v)
        Self.round(&v)
        v.0 ^= last
        v.2 ^= 0xff
        Self.round(&v)
        Self.round(&v)
        Self.round(&v)
        Self.round(&v)
        return (v.0 ^ v.1 ^ v.2 ^ v.3) & mask
    }

    @inline(__always)
    private static func round(_ v: inout (UInt64, UInt64, UInt64, UInt64)) {
        v.0 = v.0 &+ v.1
        v.1 = (v.1 &<< 13) | (v.1 &>> 51)
        v.1 ^= v.0
        v.0 = (v.0 &<< 32) | (v.0 &>> 32)
        v.2 = v.2 &+ v.3
        v.3 = (v.3 &<< 16) | (v.3 &>> 48)
        v.3 ^= v.2
        v.0 = v.0 &+ v.3
        v.3 = (v.3 &<< 21) | (v.3 &>> 43)
        v.3 ^= v.0
        v.2 = v.2 &+ v.1
        v.1 = (v.1 &<< 17) | (v.1 &>> 47)
        v.1 ^= v.2
        v.2 = (v.2 &<< 32) | (v.2 &>> 32)
    }
}
