#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// How values are shown.
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

    /// `123456` cents as `$1,234.56`.
    static func dollars(_ cents: Int) -> String {
        let (whole, part) = cents.magnitude.quotientAndRemainder(dividingBy: 100)
        return (cents < 0 ? "-$" : "$") + grouped(Int(whole)) + (part < 10 ? ".0" : ".") + String(part)
    }

    /// A number with so many decimals.
    static func decimal(_ number: Double, _ places: Int) -> String {
        let scale = (0..<places).reduce(1) { scale, _ in scale * 10 }
        let (whole, part) = Int((number * Double(scale)).rounded()).quotientAndRemainder(dividingBy: scale)
        guard places > 0 else { return String(whole) }
        let digits = String(part)
        return "\(whole)." + String(repeating: "0", count: places - digits.count) + digits
    }

    /// The text on one line and without control characters, so that it can neither break a list nor steer a terminal;
    /// at most `limit` characters of it.
    static func oneLine(_ text: String, limit: Int = .max) -> String {
        var line = ""
        for (count, scalar) in text.unicodeScalars.enumerated() {
            if count == limit { return line + "…" }
            switch scalar {
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            case _ where isUnsafe(scalar): line += "\\u{\(String(scalar.value, radix: 16))}"
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    // Control and format characters, and what some programs take for the end of a line.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    /// Milliseconds since 1970 as `1997-01-31T12:00:00Z`.
    static func time(_ milliseconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(milliseconds / 1000)).formatted(.iso8601)
    }
}
