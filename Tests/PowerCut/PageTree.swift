/// A page of LMDB that makes a transaction valid.
struct Meta {
    static let pageSize = 4096
    private static let magic: UInt32 = 0xBEEF_C0DE

    let transaction: UInt64
    /// The number of the last page in use.
    let lastPage: UInt64
    /// The roots of the free list and of the table of tables; all bits for an empty one.
    let roots: [UInt64]

    /// Nil when the page is none.
    init?(_ bytes: [UInt8], page: Int) {
        let start = page * Self.pageSize
        guard bytes.count >= start + Self.pageSize else { return nil }
        guard bytes.load(UInt16.self, at: start + 10) & 8 != 0, bytes.load(UInt32.self, at: start + 16) == Self.magic
        else { return nil }
        roots = [80, 128].map { bytes.load(UInt64.self, at: start + $0) }
        lastPage = bytes.load(UInt64.self, at: start + 136)
        transaction = bytes.load(UInt64.self, at: start + 144)
    }

    /// The one that LMDB goes by; nil when it would not open the file.
    static func newest(_ bytes: [UInt8]) -> Meta? {
        guard let first = Meta(bytes, page: 0), let second = Meta(bytes, page: 1) else { return nil }
        return first.transaction >= second.transaction ? first : second
    }
}

/// The pages that a transaction's tables consist of.
struct PageTree {
    private let bytes: [UInt8]
    private(set) var pages: [Int] = []

    /// Of a file that is sound.
    init(_ bytes: [UInt8], _ meta: Meta) throws {
        self.bytes = bytes
        for root in meta.roots { try visit(root) }
    }

    private mutating func visit(_ number: UInt64) throws {
        if number == .max { return }
        let page = Int(number)
        let start = page * Meta.pageSize
        guard start + Meta.pageSize <= bytes.count, bytes.load(UInt64.self, at: start) == number else {
            throw Problem("the recorded file has no page \(number)")
        }
        let flags = bytes.load(UInt16.self, at: start + 10)
        pages.append(page)
        let count = (Int(bytes.load(UInt16.self, at: start + 12)) - 16) / 2
        for index in 0..<count {
            let node = start + Int(bytes.load(UInt16.self, at: start + 16 + 2 * index))
            guard flags & 1 != 0 else {
                try look(node)
                continue
            }
            // Its upper 16 bits are the length of the key.
            try visit(bytes.load(UInt64.self, at: node) & 0xFFFF_FFFF_FFFF)
        }
    }

    /// A row may have its value on pages of its own, or be a table.
    private mutating func look(_ node: Int) throws {
        let flags = bytes.load(UInt16.self, at: node + 4)
        let value = node + 8 + Int(bytes.load(UInt16.self, at: node + 6))
        if flags & 1 != 0 {
            let first = Int(bytes.load(UInt64.self, at: value))
            let count = Int(bytes.load(UInt32.self, at: first * Meta.pageSize + 12))
            pages += first..<first + count
        } else if flags & 2 != 0 {
            try visit(bytes.load(UInt64.self, at: value + 40))
        }
    }
}

extension [UInt8] {
    fileprivate func load<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
        Number(littleEndian: withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) })
    }
}
