/// Stored bytes that are not what was written: a checksum or a length is wrong. Nothing of them is believed.
public struct CorruptionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was read, and where.
    public let what: String

    package init(_ what: String) { self.what = what }

    /// What is wrong and what to do.
    public var description: String {
        "\(what) is not what was written: the disk or another program changed it; restore a copy"
    }
}
