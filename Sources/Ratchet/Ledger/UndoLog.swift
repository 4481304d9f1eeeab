import LMDB

/// What state tables held before the current message wrote to them, so that a message that fails undoes its own writes
/// and nobody else's.
struct UndoLog {
    private struct Row {
        var table: Table
        var keyEnd: Int
        var valueEnd: Int
        var existed: Bool
    }

    private var rows: [Row] = []
    private var bytes: [UInt8] = []
    private var firstRow = 0

    /// A message begins: what was kept before is settled.
    mutating func begin() {
        firstRow = rows.count
        // Emptied now and then only: emptying an array costs as much as filling it.
        guard bytes.count > 1 << 16 else { return }
        rows.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        firstRow = 0
    }

    /// Keeps a row as it is before it is changed; nil if there is none.
    mutating func keep(_ value: UnsafeRawBufferPointer?, of key: UnsafeRawBufferPointer, in table: Table) {
        bytes.append(contentsOf: key)
        let keyEnd = bytes.count
        if let value { bytes.append(contentsOf: value) }
        rows.append(Row(table: table, keyEnd: keyEnd, valueEnd: bytes.count, existed: value != nil))
    }

    /// Puts every row of the message back, the last one first.
    mutating func undo(in transaction: borrowing WriteTransaction) throws {
        try bytes.withUnsafeBytes { bytes in
            for index in (firstRow..<rows.count).reversed() {
                let row = rows[index]
                let start = index == 0 ? 0 : rows[index - 1].valueEnd
                let key = UnsafeRawBufferPointer(rebasing: bytes[start..<row.keyEnd])
                if row.existed {
                    let value = UnsafeRawBufferPointer(rebasing: bytes[row.keyEnd..<row.valueEnd])
                    try transaction.put(value, for: key, in: row.table)
                } else {
                    try transaction.delete(key, in: row.table)
                }
            }
        }
        firstRow = rows.count
    }
}
