#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The code of an article, which is to be code that is compiled.
enum Article {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")

    /// The lines of Swift code in an article, or in what of it begins with a heading.
    static func code(of path: String, from heading: String? = nil) throws -> [String] {
        var isCode = false
        return try lines(of: path).drop { heading != nil && $0 != heading }.filter { line in
            if line.hasPrefix("```") {
                isCode = line == "```swift"
                return false
            }
            return isCode && !line.isEmpty
        }
    }

    /// The lines of a file, without comments and the spaces around them.
    static func lines(of path: String) throws -> [String] {
        let text = String(decoding: try Data(contentsOf: root.appending(path: path)), as: UTF8.self)
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let code = line.prefix { $0 != "/" }
            return String(code.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }
}
