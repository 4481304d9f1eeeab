#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Flips of single bits in a stored file, one at a time, and what a reader makes of each.
///
/// `RATCHET_FLIP=all` flips one bit of each byte, `RATCHET_FLIP=bits` each of its bits; else a sample of that many is
/// taken, or of 250, half of it of bytes that are not zero. Where reading is slow only those are flipped, and of a sample
/// that is asked for a tenth. What became of each flip is a letter in a file, so that whoever started the process that
/// reads knows at which flip it died.
package struct Flips: Sendable {
    /// What a reader reads.
    package struct Content: Hashable, Sendable {
        /// What keeps an effect from happening twice.
        package var done: [String]
        /// Everything else.
        package var rest: [String]

        package init(done: [String], rest: [String]) {
            self.done = done
            self.rest = rest
        }
    }

    private enum Letter: UInt8 {
        case same = 0x3D  // =
        case refused = 0x21  // !
        case lost = 0x4C  // L
        case repeated = 0x44  // D
        case untyped = 0x3F  // ?
        case died = 0x78  // x
    }

    private let folder: String
    private let seed: Seed
    private let whole: [UInt8]
    private let places: [(byte: Int, bit: Int)]

    /// Flips in the file at `folder/whole`, where the letters go too.
    package init(in folder: String, seed: Seed, isSlow: Bool = false) throws {
        self.folder = folder
        self.seed = seed
        let whole = [UInt8](try Data(contentsOf: URL(filePath: folder + "/whole")))
        var random = seed.random
        self.whole = whole
        let used = whole.indices.filter { whole[$0] != 0 }
        let bytes = isSlow ? used : Array(whole.indices)
        let all: [(byte: Int, bit: Int)]
        let wanted = getenv("RATCHET_FLIP").map { String(cString: $0) }
        switch wanted {
        case "all": all = bytes.map { ($0, random.below(8)) }
        case "bits": all = bytes.flatMap { byte in (0..<8).map { (byte, $0) } }
        default:
            let count = wanted.flatMap(Int.init).map { isSlow ? ($0 + 9) / 10 : $0 } ?? (isSlow ? 125 : 250)
            all = (0..<count).map { number in
                let among = number % 2 == 0 ? bytes : used
                return (among[random.below(among.count)], random.below(8))
            }
        }
        places = all.filter { !Self.isFailedCommitMark($0.byte, $0.bit, in: whole) }
    }

    /// The one bit that LMDB turns itself, when it cannot write the page that makes a commit valid: what has this mark is
    /// a file whose last commit has failed.
    private static func isFailedCommitMark(_ byte: Int, _ bit: Int, in whole: [UInt8]) -> Bool {
        func number(at place: Int) -> UInt64 {
            whole.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: UInt64.self).littleEndian }
        }
        let places = (144, 4096 + 144)
        let newest = number(at: places.0) > number(at: places.1) ? places.0 : places.1
        return bit == 1 && byte == newest && whole[byte] & 2 != 0
    }

    /// How many there are.
    package var count: Int { places.count }

    /// How many were tried.
    package var tried: Int { letters.count }

    private var letters: [UInt8] { [UInt8]((try? Data(contentsOf: URL(filePath: folder + "/letters"))) ?? Data()) }

    /// Tries the flips that were not tried yet. `read` reads the folder it is given, which has the file as `data.mdb`.
    /// Returns early if the process can try no further: another one can.
    package func run(isTyped: (any Error) -> Bool, _ read: (String) async throws -> Content) async throws {
        let file = open(folder + "/letters", O_WRONLY | O_CREAT, 0o600)
        guard file >= 0 else { throw Unusable(what: "no file for letters in \(folder)") }
        defer { close(file) }
        let truth = try await with(whole, named: "truth", read)
        // A process of its own, whose standard error nobody sees.
        let progress = Progress(toNamed: "RATCHET_PROGRESS")
        for index in tried..<places.count {
            put(.died, at: index, of: file)
            // A reader that hangs is killed.
            alarm(60)
            let (byte, bit) = places[index]
            var flipped = whole
            flipped[byte] ^= 1 << UInt8(bit)
            var letter = Letter.same
            do {
                let found = try await with(flipped, named: "\(index)", read)
                if found != truth { letter = found.done == truth.done ? .lost : .repeated }
                if let what = Self.difference(found, truth) { print("byte \(byte), bit \(bit), \(seed): \(what)") }
            } catch {
                // The number of a folder that was removed has come back, with what is known of the old one.
                if "\(error)".contains("an earlier write failed") && isTyped(error) {
                    ftruncate(file, off_t(index))
                    return
                }
                letter = isTyped(error) ? .refused : .untyped
                if letter == .untyped { print("byte \(byte), bit \(bit), \(seed): \(error)") }
            }
            put(letter, at: index, of: file)
            progress?.note(index + 1, of: places.count, "flips")
        }
    }

    private struct Unusable: Error { var what: String }

    private func with(
        _ bytes: [UInt8],
        named name: String,
        _ read: (String) async throws -> Content
    ) async throws -> Content {
        let path = "\(folder)/\(name)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(bytes).write(to: URL(filePath: path + "/data.mdb"))
        return try await read(path)
    }

    private func put(_ letter: Letter, at index: Int, of file: Int32) {
        withUnsafeBytes(of: letter.rawValue) { _ = pwrite(file, $0.baseAddress!, 1, off_t(index)) }
    }

    private static func difference(_ found: Content, _ truth: Content) -> String? {
        for (one, other) in zip(found.done + found.rest, truth.done + truth.rest) where one != other {
            return "\(one.prefix(300)) instead of \(other.prefix(300))"
        }
        return found == truth ? nil : "\(found.done.count + found.rest.count) answers"
    }
}

extension Flips {
    /// What became of all flips.
    package struct Report: Sendable, CustomStringConvertible {
        package var injected = 0
        /// The reader said what it would have said.
        package var same = 0
        /// The reader has thrown one of its own errors.
        package var refused = 0
        /// It was served something else.
        package var lost = 0
        /// As before, and what was done would have been done again.
        package var duplicated = 0
        /// An error that is nobody's.
        package var untyped = 0
        /// The process died.
        package var died = 0

        package var findings: Int { lost + duplicated + untyped + died }

        package var description: String {
            "\(injected) flips: \(same) harmless, \(refused) refused, \(lost + duplicated) served, \(untyped) untyped, "
                + "\(died) died"
        }
    }

    /// What the letters say; appended to the file that `RATCHET_FLIP_REPORT` names, as JSON.
    package func report(as name: String) throws -> Report {
        var report = Report()
        for (letter, place) in zip(letters, places) {
            report.injected += 1
            switch Letter(rawValue: letter) {
            case .same: report.same += 1
            case .refused: report.refused += 1
            case .lost: report.lost += 1
            case .repeated: report.duplicated += 1
            case .untyped: report.untyped += 1
            case .died, nil:
                report.died += 1
                print("byte \(place.byte), bit \(place.bit), \(seed): the process died, or was killed after a minute")
            }
        }
        print("\(name), \(seed): \(report)")
        guard let path = getenv("RATCHET_FLIP_REPORT"), let file = fopen(path, "a") else { return report }
        fputs(
            "{\"name\":\"\(name)\",\"injected\":\(report.injected),\"lost\":\(report.lost),"
                + "\"duplicated\":\(report.duplicated),\"findings\":\(report.findings)}\n",
            file
        )
        fclose(file)
        return report
    }
}
