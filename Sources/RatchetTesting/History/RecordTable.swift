import HeapModule

/// What is known of one offset of a partition.
struct Record: Sendable {
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt8
        static let appended = Flags(rawValue: 1)
        static let confirmed = Flags(rawValue: 2)
        static let delivered = Flags(rawValue: 4)
        static let aborted = Flags(rawValue: 8)
        static let removed = Flags(rawValue: 16)
        static let conflict = Flags(rawValue: 32)
        /// Any of these says that there is a record, or was.
        static let known: Flags = [.appended, .confirmed, .delivered]
    }

    var message: UInt32 = .max
    /// The first event at this offset, or its abort.
    var named: UInt32 = .max
    var delivery: UInt32 = .max
    /// The last effect of its message from here.
    var effect: UInt32 = .max
    var flags: Flags = []
}

/// The records of a partition by offset, in pages of sixteen: memory follows the events, not the size of the offsets.
struct RecordTable: Sendable {
    private static let pageSize: Int64 = 16
    private var pages: [Int64: Int] = [:]
    private var lastPage: Int64 = -1
    private var lastStart = 0
    var records: [Record] = []

    /// The place of `offset` (0 or more) in ``records``, made when it is new.
    @inline(__always)
    mutating func place(of offset: Int64) -> Int {
        let page = offset / Self.pageSize
        if page != lastPage {
            lastStart = start(of: page)
            lastPage = page
        }
        return lastStart + Int(offset % Self.pageSize)
    }

    private mutating func start(of page: Int64) -> Int {
        if let start = pages[page] { return start }
        let start = records.count
        records.append(contentsOf: repeatElement(Record(), count: Int(Self.pageSize)))
        pages[page] = start
        return start
    }

    func find(_ offset: Int64) -> Record? {
        guard offset >= 0, let start = pages[offset / Self.pageSize] else { return nil }
        return records[start + Int(offset % Self.pageSize)]
    }
}

/// The known records of a partition and, of them, those that no commit has passed yet, in the order of their offsets.
///
/// Records become known with rising offsets but for few: those have heaps of their own.
struct KnownRecords: Sendable {
    struct Entry: Comparable, Sendable {
        let offset: Int64
        let place: Int

        static func < (a: Entry, b: Entry) -> Bool { a.offset < b.offset }
    }

    private(set) var rising: [Entry] = []
    private(set) var others: [Entry] = []
    private var next = 0
    /// Of the others: those that no commit has passed, and those that one has.
    private var late = Heap<Entry>()
    private var behind = Heap<Entry>()
    /// Late ones below this were passed all the same: a heap is not gone through for it.
    private var floor: Int64 = 0

    /// Adds a record that no commit has passed.
    mutating func add(_ entry: Entry) {
        if let last = rising.last, last.offset > entry.offset {
            others.append(entry)
            late.insert(entry)
        } else {
            rising.append(entry)
        }
    }

    /// Adds a record that a commit had passed before it became known.
    mutating func addPassed(_ entry: Entry) {
        others.append(entry)
        behind.insert(entry)
    }

    /// Takes all records from `offset` on for not passed; no commit has gone less far.
    mutating func reopen(from offset: Int64) {
        next = rising.firstIndex(past: { $0.offset >= offset })
        floor = min(floor, offset)
        while let highest = behind.max, highest.offset >= offset { late.insert(behind.removeMax()) }
    }

    /// Takes the lowest record below `offset` that was not passed yet.
    mutating func pass(below offset: Int64) -> Entry? {
        while let lowest = late.min, lowest.offset < floor { behind.insert(late.removeMin()) }
        let isRising = next < rising.count && rising[next].offset < offset
        if let lowest = late.min, lowest.offset < offset, !isRising || lowest.offset < rising[next].offset {
            behind.insert(late.removeMin())
            return lowest
        }
        guard isRising else { return nil }
        next += 1
        return rising[next - 1]
    }

    /// Takes all records below `offset` that were not passed yet.
    mutating func passAll(below offset: Int64) {
        next = max(next, rising.firstIndex(past: { $0.offset >= offset }))
        floor = max(floor, offset)
    }
}
