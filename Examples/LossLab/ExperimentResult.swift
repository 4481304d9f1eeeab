#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What both sides of an experiment came to.
struct ExperimentResult: Encodable, Sendable {
    let experiment: String
    let harm: Experiment.Harm
    let leak: Tally
    let cure: Tally
    private let title: String
    private let settings: [String]

    private enum CodingKeys: CodingKey {
        case experiment, harm, leak, cure
    }

    init(_ experiment: Experiment, leak: Tally, cure: Tally) {
        self.experiment = experiment.name
        harm = experiment.harm
        self.leak = leak
        self.cure = cure
        title = experiment.title
        settings = [experiment.leak.settings, experiment.cure.settings]
    }

    /// A leak that does not leak, a cure that does not cure.
    var surprises: [String] {
        var surprises: [String] = []
        if leak[harm] == 0 { surprises.append("\(experiment): nothing was \(harm.rawValue) without the cure") }
        if cure[harm] > 0 || cure.lost > 0 {
            surprises.append(
                "\(experiment): with the cure \(cure.lost) lost, \(cure.twice) twice, \(cure.unknown) unknown"
            )
        }
        return surprises
    }

    static func json(_ results: [ExperimentResult]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(results), as: UTF8.self) + "\n"
    }
}

// MARK: - The table

extension ExperimentResult {
    private static let columns = ["sent", "acknowledged", "unknown", "effects", "lost", "twice", "a second"]
    private static let widths = [8, 14, 9, 9, 7, 7, 10]

    static func table(_ results: [ExperimentResult]) -> String {
        let first = 2 + (results.flatMap(\.settings).map(\.count).max() ?? 0)
        let head = String(repeating: " ", count: first + 2) + cells(columns)
        return "\n" + head + "\n" + results.map { $0.rows(first) }.joined() + "\n"
    }

    private func rows(_ first: Int) -> String {
        var text = "\(title)\n"
        for (settings, tally) in zip(settings, [leak, cure]) {
            let numbers = [tally.sent, tally.acknowledged, tally.unknown, tally.effects, tally.lost, tally.twice]
            let cells = Self.cells(numbers.map { Text.grouped($0) } + [tally.perSecond.map { Text.grouped($0) } ?? ""])
            text += "  " + settings.padding(to: first) + cells + "\n"
        }
        return text
    }

    private static func cells(_ texts: [String]) -> String {
        var line = zip(texts, widths).map { $0.padding(to: $1, onTheLeft: true) }.joined()
        while line.last == " " { line.removeLast() }
        return line
    }
}

enum Text {
    /// `1234567` as `1,234,567`.
    static func grouped(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number.magnitude).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + String(text.reversed())
    }
}

extension String {
    fileprivate func padding(to width: Int, onTheLeft: Bool = false) -> String {
        let spaces = String(repeating: " ", count: max(0, width - count))
        return onTheLeft ? spaces + self : self + spaces
    }
}
