#if RabbitMQ
    /// Any JSON: what the management API says of a thing differs from version to version.
    enum JSON: Decodable, Sendable, Hashable {
        case object([String: JSON])
        case array([JSON])
        case text(String)
        case number(Double)
        case flag(Bool)
        case none

        /// What lies deeper in arrays and objects is refused: decoding takes a cube of the depth in time.
        private static let deepest = 32

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            guard decoder.codingPath.count <= Self.deepest else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "nested too deeply")
            }
            if container.decodeNil() {
                self = .none
            } else if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else if let array = try? container.decode([JSON].self) {
                self = .array(array)
            } else {
                self = .object(try container.decode([String: JSON].self))
            }
        }

        subscript(_ name: String) -> JSON {
            guard case .object(let members) = self else { return .none }
            return members[name] ?? .none
        }

        var text: String? { if case .text(let text) = self { text } else { nil } }
        var flag: Bool? { if case .flag(let flag) = self { flag } else { nil } }
        var items: [JSON]? { if case .array(let items) = self { items } else { nil } }
        /// A whole number.
        var integer: Int? { if case .number(let number) = self { Int(exactly: number) } else { nil } }
    }
#endif
