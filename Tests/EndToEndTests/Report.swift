import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What `orders --json` prints.
struct Report: Decodable, Hashable, Sendable {
    var published: Int
    var processed: Int
    var duplicates: Int
    var redelivered: Int
    var deadLettered: Int
    var customers: Int
    var totalCents: Int
    var receipts: Int
    var seconds: Double

    /// The report of a run that ended well: its whole output, one line, and no word beside it.
    init(_ outcome: Outcome) throws {
        try #require(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.errors == "")
        self = try Report(lines: outcome.lines)
    }

    init(lines: [Substring]) throws {
        try #require(lines.count == 1)
        self = try JSONDecoder().decode(Report.self, from: Data(lines[0].utf8))
    }
}
