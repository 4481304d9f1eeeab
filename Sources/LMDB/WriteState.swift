/// What the one open write transaction and the nested ones inside it keep between calls.
///
/// It outlives the transactions, so that none of them allocates. Only the thread that holds LMDB's write lock touches
/// it.
struct WriteState {
    /// Tables opened and not yet committed, in order.
    var opened: [(name: String, table: Table)] = []
    /// The cursor of each table that was updated, by the table's number. LMDB closes it with the transaction it was
    /// opened in.
    var cursors: [OpaquePointer?]
    /// The numbers of the tables that have a cursor, in the order of opening.
    var cursorOwners: [UInt32] = []
    /// Grows with each change and each move of a cursor: as long as it stays, a cursor is where it was left.
    var marks: UInt = 0
    /// A row was reserved and not filled: the innermost transaction must not commit.
    var isBroken = false

    init(maximumTables: Int) {
        // LMDB numbers its own two tables first.
        cursors = Array(repeating: nil, count: max(0, maximumTables) + 2)
    }

    /// Where a nested transaction began.
    struct Level {
        let opened: Int
        let cursors: Int
    }

    var level: Level { Level(opened: opened.count, cursors: cursorOwners.count) }

    /// A transaction ends: its cursors are gone, and when it is undone its tables are too.
    mutating func end(_ level: Level, undone: Bool) {
        while cursorOwners.count > level.cursors { cursors[Int(cursorOwners.removeLast())] = nil }
        if undone { opened.removeLast(opened.count - level.opened) }
        marks &+= 1
        isBroken = false
    }
}
