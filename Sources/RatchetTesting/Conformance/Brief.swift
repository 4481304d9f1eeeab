import Ratchet

/// What a failure shows of bytes: how many, and the first of them.
func brief(_ bytes: [UInt8]?) -> String {
    guard let bytes else { return "none" }
    return "\(bytes.count) bytes \(bytes.prefix(16))"
}

/// What a failure shows of headers.
func brief(_ headers: [Header]) -> String {
    "[" + headers.map { "\($0.name): \(brief($0.value))" }.joined(separator: ", ") + "]"
}

/// What a failure shows of failures.
func brief(_ failures: [SinkFailure]) -> String {
    failures.isEmpty ? "none" : failures.map { "\($0.index): \($0.error)" }.joined(separator: "; ")
}
