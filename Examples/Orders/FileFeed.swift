/// The lines of a file, of which a block is in memory at a time.
final class FileFeed: Feed {
    private static let blockSize = 128 << 10
    private let reader: BlockReader
    private let name: String
    private let size: Int?
    private var splitter = LineSplitter(limit: Billing.maximumLineSize)
    private var bytesRead = 0
    private var isAtEnd = false
    private(set) var oversized = Oversized()

    init(_ reader: BlockReader, name: String, size: Int?) {
        self.reader = reader
        self.name = name
        self.size = size
    }

    var fraction: Double? {
        guard let size else { return nil }
        return size == 0 ? 1 : min(1, Double(bytesRead) / Double(size))
    }

    func next() async throws -> [Line]? {
        guard !isAtEnd else { return nil }
        let block = try await nextBlock()
        bytesRead += block.count
        isAtEnd = block.isEmpty
        var lines: [Line] = []
        let take = { (number: Int, text: [UInt8]?) in
            if let text, let line = Self.line(text) { lines.append(line) } else if text == nil { self.leaveOut(number) }
        }
        if isAtEnd { splitter.finish(take) } else { splitter.split(block, take) }
        return lines
    }

    private func leaveOut(_ number: Int) {
        if oversized.count == 0 { oversized.first = number }
        oversized.count += 1
    }

    private func nextBlock() async throws -> [UInt8] {
        do {
            return try await reader.next(Self.blockSize)
        } catch let error as SystemError {
            throw Failure(.unusable, "\(name) cannot be read any further: \(error)")
        }
    }

    private static func line(_ text: [UInt8]) -> Line? {
        guard !text.isEmpty else { return nil }
        return Line(key: Purchase(line: text).map { Array($0.customer.utf8) }, payload: text)
    }
}

/// Cuts blocks into lines; holds no more than one line, of at most `limit` bytes.
struct LineSplitter {
    private let limit: Int
    private var begun: [UInt8] = []
    private var isTooLong = false
    private var number = 0

    init(limit: Int) { self.limit = limit }

    /// Calls `body` with the number and the text of each line that ends in the block; nil for the text of one over the
    /// limit.
    mutating func split(_ block: [UInt8], _ body: (Int, [UInt8]?) -> Void) {
        var start = 0
        while let newline = block[start...].firstIndex(of: UInt8(ascii: "\n")) {
            append(block[start..<newline])
            end(body)
            start = newline + 1
        }
        append(block[start...])
    }

    /// The input has ended, perhaps without the end of a line.
    mutating func finish(_ body: (Int, [UInt8]?) -> Void) {
        if !begun.isEmpty || isTooLong { end(body) }
    }

    private mutating func append(_ part: ArraySlice<UInt8>) {
        if isTooLong || begun.count + part.count > limit {
            isTooLong = true
            begun.removeAll(keepingCapacity: true)
        } else {
            begun.append(contentsOf: part)
        }
    }

    private mutating func end(_ body: (Int, [UInt8]?) -> Void) {
        number += 1
        // Files from elsewhere end their lines with both.
        if begun.last == UInt8(ascii: "\r") { begun.removeLast() }
        body(number, isTooLong ? nil : begun)
        begun.removeAll(keepingCapacity: true)
        isTooLong = false
    }
}
