#if RabbitMQ
    /// The parts of a URL, decoded. No error repeats what is in it.
    struct URLText {
        let scheme: String
        let user: String?
        let password: String?
        let host: String
        let port: Int?
        /// What lies between the slashes; none for no path, or an empty one.
        let path: [String]
        let query: [String: String]
        private let beforePath: Substring
        private let afterPath: Substring

        init(_ url: String) throws(RabbitMQError) {
            guard let mark = Self.index(of: "://", in: url) else {
                throw RabbitMQAddress.invalid("it begins with amqp:// or amqps://")
            }
            scheme = url[..<mark.lowerBound].lowercased()
            let rest = url[mark.upperBound...]
            let queryStart = rest.firstIndex(of: "?") ?? rest.endIndex
            let pathStart = rest[..<queryStart].firstIndex(of: "/") ?? queryStart
            beforePath = url[..<pathStart]
            afterPath = rest[queryStart...]
            var authority = rest[..<pathStart]
            if let at = authority.lastIndex(of: "@") {
                let names = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                user = try Self.decoded(names[0])
                password = names.count > 1 ? try Self.decoded(names[1]) : nil
                authority = authority[authority.index(after: at)...]
            } else {
                (user, password) = (nil, nil)
            }
            (host, port) = try Self.place(authority)
            var path: [String] = []
            if pathStart < queryStart {
                // Of a password with a / in it this is the rest: what is before it would be taken for a host.
                guard !rest[pathStart..<queryStart].contains("@") else {
                    throw RabbitMQAddress.invalid("behind the first / an @ is written %40, and a / before it %2F")
                }
                for part in rest[rest.index(after: pathStart)..<queryStart].split(
                    separator: "/",
                    omittingEmptySubsequences: false
                ) { path.append(try Self.decoded(part)) }
            }
            self.path = path == [""] ? [] : path
            query = try Self.query(rest[queryStart...].dropFirst())
        }

        /// The same URL with another path.
        func text(path: some Sequence<String>) -> String {
            let path = path.map { "/" + Self.encoded($0) }.joined()
            return "\(beforePath)\(path)\(afterPath)"
        }

        /// What stands for `text` within a part of a URL.
        static func encoded(_ text: String) -> String {
            text.utf8.map { byte in
                let isPlain: Bool =
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                        true
                    default: false
                    }
                if isPlain { return String(UnicodeScalar(byte)) }
                return (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }.joined()
        }

        /// A host as it stands before a port.
        static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

        private static func index(of mark: String, in text: String) -> Range<String.Index>? {
            guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix(mark) else { return nil }
            return colon..<text.index(colon, offsetBy: mark.count)
        }

        private static func place(_ text: Substring) throws(RabbitMQError) -> (host: String, port: Int?) {
            var host = text
            var port: Substring?
            if text.first == "[" {
                guard let end = text.firstIndex(of: "]") else { throw RabbitMQAddress.invalid("a [ is not closed") }
                host = text[text.index(after: text.startIndex)..<end]
                let rest = text[text.index(after: end)...]
                guard rest.isEmpty || rest.first == ":" else { throw RabbitMQAddress.invalid("what follows the ]") }
                port = rest.isEmpty ? nil : rest.dropFirst()
            } else if let colon = text.lastIndex(of: ":") {
                host = text[..<colon]
                port = text[text.index(after: colon)...]
            }
            let number = port.flatMap { Int($0) }
            if let port, !port.isEmpty, !(number.map { (1...65_535).contains($0) } ?? false) {
                throw RabbitMQAddress.invalid("a port is 1 to 65535")
            }
            return (try decoded(host), number)
        }

        private static func query(_ text: Substring) throws(RabbitMQError) -> [String: String] {
            var query: [String: String] = [:]
            for pair in text.split(separator: "&") {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2 else { throw RabbitMQAddress.invalid("after the ? stands name=value") }
                query[try decoded(parts[0])] = try decoded(parts[1])
            }
            return query
        }

        private static func decoded(_ text: Substring) throws(RabbitMQError) -> String {
            var bytes: [UInt8] = []
            var rest = text.utf8[...]
            while let byte = rest.popFirst() {
                guard byte == UInt8(ascii: "%") else {
                    bytes.append(byte)
                    continue
                }
                let digits = Substring(rest.prefix(2))
                guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else {
                    throw RabbitMQAddress.invalid("a % is followed by two hexadecimal digits")
                }
                bytes.append(value)
                rest = rest.dropFirst(2)
            }
            guard let decoded = String(validating: bytes, as: UTF8.self) else {
                throw RabbitMQAddress.invalid("a part is not UTF-8")
            }
            return decoded
        }
    }
#endif
