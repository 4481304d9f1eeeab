/// What Ratchet stores beside a committed offset: whose commit it was, so that an operator's reset, a foreign ledger
/// and an old copy of our own are told apart.
public struct CommitMetadata: Hashable, Sendable, CustomStringConvertible {
    /// The id of the ledger that committed: 32 hexadecimal digits.
    public let ledger: String
    /// The nonce of that ledger's opening: 16 hexadecimal digits.
    public let epoch: String

    /// Metadata of one ledger in one opening.
    public init(ledger: String, epoch: String) {
        self.ledger = ledger
        self.epoch = epoch
    }

    /// Reads what ``description`` wrote; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "ratchet/1", parts[1].utf8.count == 32, parts[2].utf8.count == 16 else {
            return nil
        }
        self.init(ledger: String(parts[1]), epoch: String(parts[2]))
    }

    /// `ratchet/1 LEDGER EPOCH`: 59 bytes.
    public var description: String { "ratchet/1 \(ledger) \(epoch)" }
}
