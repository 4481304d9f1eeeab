#if Kafka
    /// Settings of librdkafka by their names, such as `security.protocol`. Their values may be secrets: only names are ever
    /// shown.
    public struct KafkaSettings: Sendable, Hashable, ExpressibleByDictionaryLiteral, CustomStringConvertible,
        CustomDebugStringConvertible, CustomReflectable
    {
        private var values: [String: String]

        /// Settings; of two of one name the last one counts.
        public init(dictionaryLiteral elements: (String, String)...) {
            values = Dictionary(elements) { $1 }
        }

        /// Settings from a dictionary.
        public init(_ values: [String: String]) { self.values = values }

        /// The value of a setting, nil for librdkafka's default.
        public subscript(name: String) -> String? {
            get { values[name] }
            set { values[name] = newValue }
        }

        /// All of these, and `others` over them.
        func merging(_ others: KafkaSettings) -> KafkaSettings {
            KafkaSettings(values.merging(others.values) { $1 })
        }

        /// The names, sorted.
        var names: [String] { values.keys.sorted() }

        /// Names and values, sorted by name.
        var sorted: [(name: String, value: String)] {
            values.map { (name: $0.key, value: $0.value) }.sorted { $0.name < $1.name }
        }

        /// The values that nobody may read in an error or a log.
        var secrets: [String] {
            // The longest first: it may hold another one.
            sorted.filter { Self.isSecret($0.name) && !$0.value.isEmpty }.map(\.value).sorted { $0.count > $1.count }
        }

        private static let secretWords = ["password", "secret", "pem", "jaas", "oauthbearer.config", "kinit.cmd"]

        private static func isSecret(_ name: String) -> Bool { secretWords.contains { name.contains($0) } }

        /// The names.
        public var description: String { "\(names)" }
        /// The names.
        public var debugDescription: String { description }
        /// The names.
        public var customMirror: Mirror { Mirror(self, children: ["names": names]) }
    }

    /// Text of librdkafka without the secrets that it was given.
    struct Redaction: Sendable {
        private let secrets: [String]

        init(_ settings: KafkaSettings) { secrets = settings.secrets }

        func callAsFunction(_ text: String) -> String {
            var text = text
            for secret in secrets {
                text = text.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "(hidden)")
            }
            return text
        }
    }
#endif
