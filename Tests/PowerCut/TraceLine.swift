/// One line of `strace -f -v -xx`.
struct TraceLine {
    let thread: Substring
    let name: Substring
    /// The call began earlier: this line has its end.
    let isResumed: Bool
    /// The call's end is in a later line.
    let isUnfinished: Bool
    let result: Int?
    private let words: [Substring]
    private let strings: [[UInt8]]

    /// Nil for a line that is not of a call.
    init?(_ line: ArraySlice<UInt8>) throws {
        var scanner = Scanner(line)
        thread = scanner.word(upTo: " ")
        scanner.skip(" ")
        switch scanner.next {
        case UInt8(ascii: "+"), UInt8(ascii: "-"), nil: return nil
        case UInt8(ascii: "<"):
            // <... name resumed>) = result
            scanner.skip("<. ")
            name = scanner.word(upTo: " ")
            isResumed = true
            isUnfinished = false
            result = Self.result(line)
            (words, strings) = ([], [])
        default:
            name = scanner.word(upTo: "(")
            isResumed = false
            scanner.skip("(")
            let arguments = try scanner.arguments()
            isUnfinished = arguments.words.last == "<unfinished ...>"
            words = isUnfinished ? arguments.words.dropLast() : arguments.words
            strings = arguments.strings
            result = isUnfinished ? nil : Self.result(line)
        }
    }

    /// The number behind the last `= `.
    private static func result(_ line: ArraySlice<UInt8>) -> Int? {
        guard let sign = line.lastIndex(of: UInt8(ascii: "=")) else { return nil }
        let number = line[sign...].dropFirst(2).prefix { $0 != UInt8(ascii: " ") }
        return Int(String(decoding: number, as: UTF8.self))
    }

    private func number(_ index: Int) throws -> Int {
        guard words.indices.contains(index), let number = Int(words[index]) else {
            throw Problem("\(name) has no number as argument \(index): \(words)")
        }
        return number
    }

    private func path(_ index: Int) throws -> String {
        guard strings.indices.contains(index) else { throw Problem("\(name) has no path") }
        return String(decoding: strings[index], as: UTF8.self)
    }

    /// What it did, given that it succeeded; nil if nothing that matters.
    func operation(_ result: Int) throws -> Call.Operation? {
        switch name {
        case "openat": return .open(path: try path(0), flags: Set(words[1].split(separator: "|")))
        case "close": return .close(try number(0))
        case "lseek": return .seek(try number(0))
        case "write", "writev": return .write(try number(0), at: nil, Array(strings.joined().prefix(result)))
        case "pwrite64", "pwritev", "pwritev2":
            // The offset comes last; behind it come only the second form's flags.
            let offset = try number(words.count - (name == "pwritev2" ? 2 : 1))
            return .write(try number(0), at: offset, Array(strings.joined().prefix(result)))
        case "ftruncate": return .resize(try number(0), to: try number(1))
        case "fallocate": return .allocate(try number(0), through: try number(2) + number(3))
        case "fsync", "fdatasync": return .synchronize(try number(0))
        case "rename", "renameat", "renameat2": return .rename(try path(0), to: try path(1))
        case "mkdir", "mkdirat": return .makeFolder(try path(0))
        case "unlink", "unlinkat", "rmdir": return .remove(try path(0))
        default: throw Problem("the recording has a call that is not modelled: \(name)")
        }
    }
}

/// Goes through the bytes of a line.
private struct Scanner {
    private let bytes: ArraySlice<UInt8>
    private var place: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        place = bytes.startIndex
    }

    var next: UInt8? { place < bytes.endIndex ? bytes[place] : nil }

    mutating func skip(_ characters: String) {
        while let next, characters.utf8.contains(next) { place += 1 }
    }

    mutating func word(upTo character: Character) -> Substring {
        let start = place
        while let next, next != character.asciiValue { place += 1 }
        return Substring(decoding: bytes[start..<place], as: UTF8.self)
    }

    /// The words between commas, and the strings, which are all in hexadecimal; up to the closing parenthesis.
    mutating func arguments() throws -> (words: [Substring], strings: [[UInt8]]) {
        var words: [Substring] = []
        var strings: [[UInt8]] = []
        while let next, next != UInt8(ascii: ")") {
            switch next {
            case UInt8(ascii: "\""): strings.append(try string())
            case UInt8(ascii: ","), UInt8(ascii: " "): place += 1
            case UInt8(ascii: "<"):
                words.append(Substring(decoding: bytes[place...], as: UTF8.self))
                place = bytes.endIndex
            default:
                let start = place
                while let next = self.next, !#",)" <"#.utf8.contains(next) { place += 1 }
                words.append(Substring(decoding: bytes[start..<place], as: UTF8.self))
            }
        }
        if words.contains(where: { $0.hasPrefix("...") }) { throw Problem("strace has shortened its arguments") }
        return (words, strings)
    }

    private mutating func string() throws -> [UInt8] {
        var content: [UInt8] = []
        place += 1
        // Each byte as \x and two digits.
        while let next, next == UInt8(ascii: "\\") {
            content.append(try digit(bytes[place + 2]) << 4 | digit(bytes[place + 3]))
            place += 4
        }
        place += 1
        return content
    }

    private func digit(_ character: UInt8) throws -> UInt8 {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        default: throw Problem("a string of the trace is not in hexadecimal")
        }
    }
}
