#if RabbitMQ
    /// What went wrong between this process and a RabbitMQ server. Never holds a password.
    public struct RabbitMQError: Error, Sendable, Hashable, CustomStringConvertible {
        /// The kind of fault.
        public struct Code: Sendable, Hashable, CustomStringConvertible {
            /// The code's name.
            public let description: String
            /// The URL is none, or says what is not understood.
            public static let invalidAddress = Code(description: "invalid address")
            /// An argument is out of its bounds.
            public static let invalidArgument = Code(description: "invalid argument")
            /// The server cannot be reached, or the connection was lost.
            public static let disconnected = Code(description: "disconnected")
            /// The server does not take the credentials, or they have no right to this.
            public static let accessRefused = Code(description: "access refused")
            /// The virtual host, queue or exchange does not exist.
            public static let notFound = Code(description: "not found")
            /// It exists, with other settings.
            public static let mismatch = Code(description: "mismatch")
            /// The server refuses for another reason, which it names.
            public static let refused = Code(description: "refused")
            /// The server has answered a message with a nack: it is full, or could not write it.
            public static let nacked = Code(description: "nacked")
            /// No answer came in time.
            public static let timedOut = Code(description: "timed out")
            /// A message is larger than is taken.
            public static let tooLarge = Code(description: "message too large")
            /// The server has sent what the protocol does not allow.
            public static let protocolViolation = Code(description: "protocol violation")
            /// It was closed by its user.
            public static let closed = Code(description: "closed")
        }

        /// The kind of fault.
        public let code: Code
        /// What was wrong, where, and what to do.
        public let detail: String

        /// An error with its explanation.
        public init(_ code: Code, _ detail: String) {
            self.code = code
            self.detail = detail
        }

        /// `code: detail`.
        public var description: String { "\(code): \(detail)" }

        /// Whether the same may succeed later, unchanged.
        public var isRetriable: Bool {
            switch code {
            case .disconnected, .nacked, .timedOut, .refused, .notFound: true
            default: false
            }
        }

        /// What a server says of a queue that it has and cannot reach, as while it comes up, by the code for one that it
        /// does not have.
        private static let outOfReach = [
            "is down or inaccessible", "process is stopped by supervisor", "has crashed and failed to restart",
            "due to timeout",
        ]

        /// What a reply code of the protocol says, as in `channel.close`.
        static func reply(_ number: Int, _ text: String, _ what: String) -> RabbitMQError {
            let code: Code =
                switch number {
                case 403: .accessRefused
                case 404 where outOfReach.contains(where: text.contains): .refused
                case 404, 530: .notFound
                case 406: .mismatch
                case 320: .disconnected
                default: .refused
                }
            return RabbitMQError(code, "\(what): \(number) \(text)")
        }
    }
#endif
