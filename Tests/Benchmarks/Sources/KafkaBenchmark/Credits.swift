#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where the process that refills the topic hears how far it was read.
final class Credits {
    struct Failure: Error { let path: String }

    private let path: String
    private let file: Int32

    init(path: String) throws {
        self.path = path
        file = open(path, O_WRONLY)
        guard file >= 0 else { throw Failure(path: path) }
    }

    deinit { close(file) }

    func tell(_ consumed: Int) throws {
        let line = Array("\(consumed)\n".utf8)
        guard write(file, line, line.count) == line.count else { throw Failure(path: path) }
    }
}
