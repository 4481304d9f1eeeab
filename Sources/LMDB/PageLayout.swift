import CLMDB

/// Why a file is not one that LMDB has written.
struct PageDamage: Error {
    let what: String
    init(_ what: String) { self.what = what }
}

/// The layouts of LMDB's data format 1 on a machine of 64 bits, in that machine's byte order: what its sources call
/// `MDB_page`, `MDB_node`, `MDB_meta` and `MDB_db`.
enum PageLayout {
    static let headerSize = 16
    static let nodeSize = 8
    static let tableSize = 48
    static let headSize = headerSize + 136
    static let branch: UInt16 = 1
    static let leaf: UInt16 = 2
    static let overflow: UInt16 = 4
    static let head: UInt16 = 8
    static let isFarValue: UInt16 = 1
    static let isTable: UInt16 = 2
    static let integerKeys: UInt16 = 8
    /// The file was made as one without a folder of its own, as a copy may be.
    static let isAlone: UInt16 = 0x4000
    static let magic: UInt32 = 0xBEEF_C0DE
    static let version: UInt32 = 1
    static let noPage = UInt64.max
}

/// One of the two pages that begin a file, each the root of one commit.
struct HeadPage {
    let pageSize: Int
    let free: TableRecord
    let main: TableRecord
    let lastPage: UInt64
    let transaction: UInt64

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int, number: UInt64) throws(PageDamage) {
        guard offset + PageLayout.headSize <= bytes.count else { throw PageDamage("the file ends in a head page") }
        let page = UnsafeRawBufferPointer(rebasing: bytes[offset...])
        let content = PageLayout.headerSize
        guard page.integer(0, UInt64.self) == number, page.integer(10, UInt16.self) == PageLayout.head,
            page.integer(content, UInt32.self) == PageLayout.magic,
            page.integer(content + 4, UInt32.self) == PageLayout.version
        else { throw PageDamage("head page \(number) is none of this format") }
        let records = UnsafeRawBufferPointer(rebasing: page[(content + 24)...])
        free = TableRecord(records)
        main = TableRecord(UnsafeRawBufferPointer(rebasing: records[PageLayout.tableSize...]))
        lastPage = page.integer(content + 120)
        transaction = page.integer(content + 128)
        // In the free list's record the padding is the page size, and the flags are the file's.
        pageSize = Int(page.integer(content + 24, UInt32.self))
        guard (512...65536).contains(pageSize), pageSize & (pageSize - 1) == 0,
            free.flags & ~PageLayout.isAlone == PageLayout.integerKeys, main.flags == 0
        else { throw PageDamage("head page \(number) says pages of \(pageSize) bytes, flags \(free.flags)") }
        // LMDB makes its map as large as these pages, and has never written beyond the map that it had.
        let map = page.integer(content + 16, UInt64.self)
        guard lastPage < map / UInt64(pageSize) else {
            throw PageDamage("head page \(number) says that page \(lastPage) is the last in a map of \(map) bytes")
        }
        // Of both: one that is no head at all would say by its number which is the newer.
        for table in [free, main] where !table.isPossible(inPages: map / UInt64(pageSize)) {
            throw PageDamage("head page \(number) has a table of depth \(table.depth) whose root is \(table.root)")
        }
    }
}

/// What LMDB keeps of each tree.
struct TableRecord {
    let flags: UInt16
    let depth: Int
    let branches: UInt64
    let leaves: UInt64
    let overflows: UInt64
    let rows: UInt64
    let root: UInt64

    /// At least ``PageLayout/tableSize`` bytes.
    init(_ bytes: UnsafeRawBufferPointer) {
        flags = bytes.integer(4)
        depth = Int(bytes.integer(6, UInt16.self))
        branches = bytes.integer(8)
        leaves = bytes.integer(16)
        overflows = bytes.integer(24)
        rows = bytes.integer(32)
        root = bytes.integer(40)
    }

    /// Whether there can be such a tree, in a map of so many pages, the first two of which are the heads.
    func isPossible(inPages pages: UInt64) -> Bool {
        if root == PageLayout.noPage { return depth == 0 && branches == 0 && leaves == 0 && rows == 0 }
        return depth > 0 && (2..<max(2, pages)).contains(root) && leaves > 0 && leaves < pages && branches < pages
    }
}

/// A branch or leaf page whose rows lie within it and beside each other.
struct TreePage {
    let number: UInt64
    let isLeaf: Bool
    let bytes: UnsafeRawBufferPointer

    /// How many nodes it has.
    var count: Int { (Int(bytes.integer(12, UInt16.self)) - PageLayout.headerSize) / 2 }

    init(_ bytes: UnsafeRawBufferPointer, number: UInt64) throws(PageDamage) {
        self.number = number
        self.bytes = bytes
        let flags = bytes.integer(10, UInt16.self)
        isLeaf = flags == PageLayout.leaf
        let (lower, upper) = (Int(bytes.integer(12, UInt16.self)), Int(bytes.integer(14, UInt16.self)))
        guard bytes.integer(0, UInt64.self) == number, isLeaf || flags == PageLayout.branch,
            lower > PageLayout.headerSize, lower % 2 == 0, lower <= upper, upper <= bytes.count
        else { throw PageDamage("page \(number) is none of a table") }
        try checkPlaces(from: upper)
    }

    /// LMDB closes each gap, so that nodes fill the page from `upper` to its end.
    private func checkPlaces(from upper: Int) throws(PageDamage) {
        var size = 0
        for index in 0..<count {
            let at = place(of: index)
            guard at >= upper, at % 2 == 0, at + PageLayout.nodeSize <= bytes.count else { throw misplaced(index) }
            let node = node(index)
            guard node.size <= bytes.count - at else { throw misplaced(index) }
            size += (node.size + 1) & ~1
        }
        guard size == bytes.count - upper else { throw PageDamage("page \(number)'s rows have other sizes than it") }
        try withUnsafeTemporaryAllocation(of: UInt32.self, capacity: count) { spans throws(PageDamage) in
            for index in 0..<count {
                spans.initializeElement(
                    at: index,
                    to: UInt32(place(of: index)) << 16 | UInt32((node(index).size + 1) & ~1)
                )
            }
            var spans = spans
            spans.sort()
            var end = UInt32(upper)
            for span in spans {
                guard span >> 16 == end else { throw PageDamage("rows of page \(number) overlap") }
                end += span & 0xFFFF
            }
        }
    }

    private func place(of index: Int) -> Int { Int(bytes.integer(PageLayout.headerSize + 2 * index, UInt16.self)) }

    private func misplaced(_ index: Int) -> PageDamage { PageDamage("row \(index) of page \(number) is not within it") }

    func node(_ index: Int) -> Node {
        Node(bytes: UnsafeRawBufferPointer(rebasing: bytes[place(of: index)...]), isLeaf: isLeaf)
    }
}

/// A row of a leaf page, or what leads to a child of a branch page.
struct Node {
    let bytes: UnsafeRawBufferPointer
    let isLeaf: Bool

    var flags: UInt16 { isLeaf ? bytes.integer(4) : 0 }
    var keySize: Int { Int(bytes.integer(6, UInt16.self)) }
    /// The size of the value, wherever it is.
    var valueSize: Int { Int(bytes.integer(0, UInt32.self)) }
    var isFar: Bool { flags & PageLayout.isFarValue != 0 }
    /// The bytes it takes in its page.
    var size: Int { PageLayout.nodeSize + keySize + (isLeaf ? isFar ? 8 : valueSize : 0) }
    var child: UInt64 { UInt64(bytes.integer(0, UInt32.self)) | UInt64(bytes.integer(4, UInt16.self)) << 32 }

    // Only once the page has been checked.
    var key: UnsafeRawBufferPointer {
        let start = PageLayout.nodeSize
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + keySize])
    }
    var value: UnsafeRawBufferPointer {
        let start = PageLayout.nodeSize + keySize
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + (isFar ? 8 : valueSize)])
    }
}

extension UnsafeRawBufferPointer {
    @inline(__always)
    func integer<I: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: I.Type = I.self) -> I {
        loadUnaligned(fromByteOffset: offset, as: I.self)
    }
}
