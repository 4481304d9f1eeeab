/// How a table's keys are compared.
public enum KeyOrder: Sendable, Hashable {
    /// Byte by byte, the shorter first. Keys have 1 to 511 bytes.
    case bytes
    /// As numbers. Keys are `UInt64` in the machine's own byte order.
    case integers
}

/// How ``WriteTransaction/put(_:for:in:_:)-(UnsafeRawBufferPointer,UnsafeRawBufferPointer,_,_)`` treats what is there.
public enum PutMode: Sendable, Hashable {
    /// Writes, over what the key had.
    case replace
    /// Writes behind the last key, fastest and densest; throws ``LMDBError/Code/keyOutOfOrder`` when the key is not
    /// above that.
    case append
    /// Writes only when the key is absent.
    case insert
}

/// A handle of one named table of one environment.
///
/// It is valid from the transaction that opened or created it on, and in all later ones. When the transaction, or the
/// nested one, that *created* the table is undone, the handle is gone and its number may be given to another table:
/// forget it.
public struct Table: Sendable, Hashable {
    /// How the keys are compared.
    public let keys: KeyOrder
    let number: UInt32
}
