/// Where the purchases come from.
enum Input: Sendable {
    case file(FileDescriptor, name: String, size: Int?)
    case generated(count: Int, seed: UInt64)

    /// Opens a file, `-` for standard input.
    static func open(_ path: String) throws -> Input {
        do {
            let file = path == "-" ? .standardInput : try FileDescriptor(path, FileDescriptor.reading)
            return .file(file, name: path == "-" ? "standard input" : path, size: try file.size())
        } catch {
            throw Failure(.unusable, "the input \(path) cannot be read: \(error)")
        }
    }

    /// A reader from the beginning on. A file has only one.
    func makeFeed() -> any Feed {
        switch self {
        case .file(let file, let name, let size): FileFeed(BlockReader(file), name: name, size: size)
        case .generated(let count, let seed): GeneratedFeed(count: count, seed: seed)
        }
    }
}

/// What is to be published, a block at a time.
protocol Feed: AnyObject {
    /// The next lines, nil at the end.
    func next() async throws -> [Line]?
    /// The lines so far that no message has room for: they were left out.
    var oversized: Oversized { get }
    /// Which part of the input has been read, 0 to 1; nil if nobody knows.
    var fraction: Double? { get }
}

/// A line of the input, as it is to be published.
struct Line: Sendable {
    /// The purchase's customer: it keeps a customer's purchases in order. Nil for what is no purchase; that is
    /// published all the same, for the pipeline to make it a dead letter.
    var key: [UInt8]?
    var payload: [UInt8]
}

/// Lines that no message has room for.
struct Oversized: Sendable {
    var count = 0
    /// The number of the first one in the input.
    var first = 0
}
