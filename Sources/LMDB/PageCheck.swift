/// Reads the pages of an environment's file before LMDB does, and tells whether they are as LMDB leaves them.
///
/// LMDB believes its pages: a flipped bit in one ends the process, or hides rows. What is checked: the two head pages,
/// and which of them is the newer one; each page of each tree, with the place, size and order of its rows and how many
/// there are; that no page is in use twice, nor in use and free. Values of more than half a page are not read. What rows
/// say is for whoever wrote them to check.
struct PageCheck {
    /// LMDB's own bound.
    private static let deepest = 32

    private let bytes: UnsafeRawBufferPointer
    private let pageSize: Int
    private let lastPage: UInt64
    private var seen: PageSet

    /// Throws ``LMDBError/Code/corrupted`` for a file that LMDB has not left so. Nobody may be writing to it.
    static func run(on path: String) throws {
        let file = try OpenFile(reading: path)
        do {
            try file.withMap { try check($0) }
        } catch let damage as PageDamage {
            let detail = "\(damage.what): restore the file from a copy"
            throw LMDBError(.corrupted, operation: "open", path: path, detail: detail)
        }
    }

    private static func check(_ bytes: UnsafeRawBufferPointer) throws(PageDamage) {
        // What is no environment at all LMDB refuses by itself.
        guard bytes.count >= PageLayout.headSize,
            bytes.integer(PageLayout.headerSize, UInt32.self) == PageLayout.magic
        else { return }
        let head = try newestHead(of: bytes)
        var check = PageCheck(bytes, head)
        let free = try check.walk(head.free, keys: .integers, level: .free)
        // Whatever a commit replaces it puts on the free list, under its own number.
        let freed = try check.lastFreed(head)
        guard head.transaction < 2 || free.rows == 0 || freed == head.transaction else {
            throw PageDamage("the head page is not of the last commit")
        }
        _ = try check.walk(head.main, keys: .bytes, level: .main)
    }

    private init(_ bytes: UnsafeRawBufferPointer, _ head: HeadPage) {
        self.bytes = bytes
        pageSize = head.pageSize
        lastPage = head.lastPage
        seen = PageSet(count: bytes.count / head.pageSize + 1)
    }
}

// MARK: Which commit is the last

extension PageCheck {
    /// Commits take turns in writing the two head pages.
    private static func newestHead(of bytes: UnsafeRawBufferPointer) throws(PageDamage) -> HeadPage {
        let first = try HeadPage(bytes, at: 0, number: 0)
        let second = try HeadPage(bytes, at: first.pageSize, number: 1)
        guard first.pageSize == second.pageSize else { throw PageDamage("the head pages are not of one file") }
        let (newer, older) = first.transaction < second.transaction ? (second, first) : (first, second)
        if newer.transaction == 0 { return newer }
        guard newer.transaction - older.transaction == 1, first.transaction % 2 == 0 else {
            throw PageDamage("the head pages are of commits \(first.transaction) and \(second.transaction)")
        }
        // A newer one whose number was lowered has freed what the commit of that number could not have.
        if let freed = try? PageCheck(bytes, older).lastFreed(older), freed > older.transaction,
            !isTakenBack(older, from: freed, newer)
        {
            throw PageDamage("the head page of commit \(freed) says \(older.transaction)")
        }
        return newer
    }

    /// Whether LMDB itself has lowered the number: where the writing of a head page has failed it puts the two numbers
    /// back that were there, and leaves the rest.
    private static func isTakenBack(_ older: HeadPage, from commit: UInt64, _ newer: HeadPage) -> Bool {
        commit == older.transaction + 2 && older.lastPage <= newer.lastPage
    }

    /// The last commit that has freed pages, as this head page sees it; 0 if there is none.
    private func lastFreed(_ head: HeadPage) throws(PageDamage) -> UInt64 {
        guard head.free.root != PageLayout.noPage else { return 0 }
        var number = head.free.root
        for _ in 0..<Self.deepest {
            let page = try treePage(number)
            let last = page.node(page.count - 1)
            guard !page.isLeaf else { return last.keySize == 8 ? last.key.integer(0) : 0 }
            number = last.child
        }
        throw PageDamage("the free list has no end")
    }
}

// MARK: Trees

extension PageCheck {
    private enum Level { case free, main, table }

    private struct PageTally {
        var branches: UInt64 = 0
        var leaves: UInt64 = 0
        var overflows: UInt64 = 0
        var rows: UInt64 = 0
    }

    /// What leads to a page: its keys are at least `lower` and below `upper`.
    private struct WalkStep {
        var number: UInt64
        var depth: Int
        var lower: UnsafeRawBufferPointer?
        var upper: UnsafeRawBufferPointer?
    }

    private mutating func walk(_ table: TableRecord, keys: KeyOrder, level: Level) throws(PageDamage) -> PageTally {
        var tally = PageTally()
        if table.root == PageLayout.noPage {
            guard table.depth == 0 else { throw PageDamage("a table of depth \(table.depth) has no pages") }
        } else {
            guard 1...Self.deepest ~= table.depth else { throw PageDamage("a table has depth \(table.depth)") }
            var steps = [WalkStep(number: table.root, depth: table.depth)]
            while let step = steps.popLast() { try visit(step, keys, level, &tally, &steps) }
        }
        guard tally.branches == table.branches, tally.leaves == table.leaves, tally.overflows == table.overflows,
            tally.rows == table.rows
        else { throw PageDamage("a table has \(tally.rows) rows where \(table.rows) were written, or other pages") }
        return tally
    }

    private mutating func visit(
        _ step: WalkStep,
        _ keys: KeyOrder,
        _ level: Level,
        _ tally: inout PageTally,
        _ steps: inout [WalkStep]
    ) throws(PageDamage) {
        try use(step.number)
        let page = try treePage(step.number)
        guard page.isLeaf == (step.depth == 1) else { throw PageDamage("page \(step.number) is at another depth") }
        let first = page.isLeaf ? 0 : 1
        var previous = step.lower
        for index in first..<max(page.count, first) {
            let key = page.node(index).key
            try check(key, keys, after: previous, mayBeEqual: index == first, before: step.upper, on: page)
            previous = key
        }
        if page.isLeaf {
            tally.leaves += 1
            tally.rows += UInt64(page.count)
            for index in 0..<page.count { try visit(page.node(index), level, &tally) }
            return
        }
        tally.branches += 1
        for index in 0..<page.count {
            let upper = index + 1 < page.count ? page.node(index + 1).key : step.upper
            // The first key of a branch page is not looked at.
            let lower = index == 0 ? step.lower : page.node(index).key
            steps.append(WalkStep(number: page.node(index).child, depth: step.depth - 1, lower: lower, upper: upper))
        }
    }

    private func check(
        _ key: UnsafeRawBufferPointer,
        _ keys: KeyOrder,
        after previous: UnsafeRawBufferPointer?,
        mayBeEqual: Bool,
        before upper: UnsafeRawBufferPointer?,
        on page: TreePage
    ) throws(PageDamage) {
        guard keys == .integers ? key.count == 8 : 1...511 ~= key.count else {
            throw PageDamage("a key on page \(page.number) has \(key.count) bytes")
        }
        let order = previous.map { keys.compare($0, key) } ?? -1
        guard order < 0 || order == 0 && mayBeEqual, upper.map({ keys.compare(key, $0) < 0 }) ?? true else {
            throw PageDamage("the keys on page \(page.number) are out of order")
        }
    }

    private mutating func visit(_ row: Node, _ level: Level, _ tally: inout PageTally) throws(PageDamage) {
        guard row.flags & ~(PageLayout.isFarValue | PageLayout.isTable) == 0,
            (row.flags & PageLayout.isTable != 0) == (level == .main && row.valueSize == PageLayout.tableSize),
            !(row.isFar && level == .main)
        else { throw PageDamage("a row has flags \(row.flags)") }
        var value = row.value
        if row.isFar {
            value = try farValue(row, &tally)
        }
        switch level {
        case .free: try visitFreed(value)
        case .main where row.flags != 0:
            let table = TableRecord(value)
            guard table.flags & ~PageLayout.integerKeys == 0 else {
                throw PageDamage("a table has flags \(table.flags)")
            }
            _ = try walk(table, keys: table.flags == 0 ? .bytes : .integers, level: .table)
        case .main, .table: break
        }
    }

    /// A value on pages of its own.
    private mutating func farValue(_ row: Node, _ tally: inout PageTally) throws(PageDamage) -> UnsafeRawBufferPointer {
        let number = row.value.integer(0, UInt64.self)
        let needed = (PageLayout.headerSize - 1 + row.valueSize) / pageSize + 1
        let first = try self.page(number, count: 1)
        // A value that has become smaller keeps its pages.
        let count = Int(first.integer(12, UInt32.self))
        guard first.integer(0, UInt64.self) == number, first.integer(10, UInt16.self) == PageLayout.overflow,
            count >= needed
        else { throw PageDamage("page \(number) does not hold the value that is looked for there") }
        let page = try self.page(number, count: count)
        for index in 0..<UInt64(count) { try use(number + index) }
        tally.overflows += UInt64(count)
        return UnsafeRawBufferPointer(rebasing: page[PageLayout.headerSize..<PageLayout.headerSize + row.valueSize])
    }

    /// The pages that one commit has freed, behind their number.
    private mutating func visitFreed(_ list: UnsafeRawBufferPointer) throws(PageDamage) {
        guard list.count >= 8, list.count % 8 == 0,
            list.integer(0, UInt64.self) <= UInt64(list.count / 8 - 1)
        else { throw PageDamage("a list of free pages has \(list.count) bytes") }
        for index in 0..<Int(list.integer(0, UInt64.self)) { try use(list.integer(8 + 8 * index)) }
    }

    private func treePage(_ number: UInt64) throws(PageDamage) -> TreePage {
        try TreePage(page(number, count: 1), number: number)
    }

    private func page(_ number: UInt64, count: Int) throws(PageDamage) -> UnsafeRawBufferPointer {
        guard number > 1, number <= lastPage, number <= UInt64(bytes.count / pageSize),
            count <= bytes.count / pageSize - Int(number)
        else { throw PageDamage("page \(number) is not in the file") }
        return UnsafeRawBufferPointer(rebasing: bytes[Int(number) * pageSize..<(Int(number) + count) * pageSize])
    }

    private mutating func use(_ number: UInt64) throws(PageDamage) {
        guard number > 1, number <= lastPage else { throw PageDamage("page \(number) is not one of the file's") }
        guard seen.insert(number) else { throw PageDamage("page \(number) is in use twice") }
    }
}

extension KeyOrder {
    /// Below 0, 0 or above, as LMDB compares.
    fileprivate func compare(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Int {
        if self == .integers {
            let (one, other) = (one.integer(0, UInt64.self), other.integer(0, UInt64.self))
            return one < other ? -1 : one == other ? 0 : 1
        }
        return Platform.compare(one, other)
    }
}

/// Which pages were met: bits for those in the file, and numbers for free ones behind its end, which were never written.
private struct PageSet {
    private var bits: [UInt64]
    private var behind: Set<UInt64> = []

    init(count: Int) { bits = Array(repeating: 0, count: count / 64 + 1) }

    /// False if the page is there already.
    mutating func insert(_ number: UInt64) -> Bool {
        guard number / 64 < UInt64(bits.count) else { return behind.insert(number).inserted }
        let bit: UInt64 = 1 << (number % 64)
        guard bits[Int(number / 64)] & bit == 0 else { return false }
        bits[Int(number / 64)] |= bit
        return true
    }
}
