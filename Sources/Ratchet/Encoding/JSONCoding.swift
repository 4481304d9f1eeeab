#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// JSON by Foundation's coders, which are made once: making one costs as much as using it.
package enum JSONCoding {
    private static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        // The same value gives the same bytes in every process.
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }()
    private static let decoder = JSONDecoder()

    package static func encode(_ value: some Encodable) throws -> [UInt8] { Array(try encoder.encode(value)) }

    package static func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T {
        guard let base = bytes.baseAddress else { return try decoder.decode(type, from: Data()) }
        // The decoder reads the bytes before this returns and keeps none of them.
        let data = Data(bytesNoCopy: UnsafeMutableRawPointer(mutating: base), count: bytes.count, deallocator: .none)
        return try decoder.decode(type, from: data)
    }
}
