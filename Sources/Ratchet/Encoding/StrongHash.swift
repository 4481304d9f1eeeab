import Crypto

/// Hashes that nobody can make collide.
package enum StrongHash {
    /// The 32 bytes of the SHA-256 of `bytes`.
    package static func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var hash = SHA256()
        hash.update(bufferPointer: bytes)
        return Array(hash.finalize())
    }
}
