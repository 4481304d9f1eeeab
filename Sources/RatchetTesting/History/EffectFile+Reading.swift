import Ratchet

extension EffectFile {
    /// What was found in a file of effects.
    public struct Reading: Hashable, Sendable {
        /// A line that is not what was written.
        public struct Damage: Hashable, Sendable {
            /// Where the line begins, in bytes from the file's beginning.
            public let position: Int
            /// Its length, without its end.
            public let length: Int
            /// What is wrong with it.
            public let reason: Reason
        }

        /// What may be wrong with a line.
        public enum Reason: Hashable, Sendable {
            /// Its writer was stopped within it, or is not done yet: the last line that it began.
            case torn
            /// Its checksum is wrong.
            case checksum
            /// It is longer than any that is written.
            case tooLong
            /// Its checksum is right, and it holds something else.
            case malformed
        }

        /// Effects that were read.
        public internal(set) var effects = 0
        /// The first lines that were not, up to ``maximumListedDamage``.
        public internal(set) var damage: [Damage] = []
        /// How many lines were not.
        public internal(set) var damaged = 0
        /// Of ``damaged``: those that their writers could not finish, of which nobody was told that they are there.
        public internal(set) var torn = 0

        /// How many damaged lines are listed; ``damaged`` counts on.
        public static let maximumListedDamage = 100
    }

    /// Enters the effects of the file at `path` in `history`, where their times put them, and says what was not
    /// believed. The file is read in pieces; a piece and a line are the most that is held beside the effects, of which
    /// no more are taken than the history has room for. (Others count as its dropped events.)
    ///
    /// Throws ``HistoryError/Code/file`` when it cannot be read, and ``HistoryError/Code/tooManyPartitions``; the
    /// history then has no new events.
    public static func read(_ path: String, into history: inout History) throws(HistoryError) -> Reading {
        var reader = EffectReader(room: history.maximumEvents - history.events.count)
        let file = try ReadFile(path)
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = try file.read(into: &piece)
            guard count > 0 else { break }
            try reader.take(piece[..<count], into: &history)
        }
        reader.finish()
        history.merge(reader.events)
        history.drop(reader.unlisted)
        return reader.reading
    }
}

/// Cuts a file into lines and takes those that are whole.
private struct EffectReader {
    var reading = EffectFile.Reading()
    var events: [History.Event] = []
    /// Effects that the history has no room for.
    var unlisted = 0
    private let room: Int
    private var line: [UInt8] = []
    private var length = 0
    private var position = 0

    init(room: Int) { self.room = room }

    mutating func take(_ piece: ArraySlice<UInt8>, into history: inout History) throws(HistoryError) {
        var rest = piece
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            extend(rest[..<end])
            try endLine(into: &history)
            rest = rest[(end + 1)...]
        }
        extend(rest)
    }

    mutating func finish() {
        if length > 0 { add(.torn) }
    }

    private mutating func extend(_ bytes: ArraySlice<UInt8>) {
        length += bytes.count
        line.append(contentsOf: bytes.prefix(max(0, EffectFile.maximumLineBytes - line.count)))
    }

    private mutating func endLine(into history: inout History) throws(HistoryError) {
        defer {
            position += length + 1
            length = 0
            line.removeAll(keepingCapacity: true)
        }
        guard length < EffectFile.maximumLineBytes else { return add(.tooLong) }
        guard line.last != EffectFile.tornEnd else { return add(.torn) }
        guard line.count > 17, line[16] == UInt8(ascii: "\t"),
            EffectFile.checksum(Array(line[17...])) == String(decoding: line[..<16], as: UTF8.self)
        else { return add(.checksum) }
        guard let effect = Self.parse(line[17...]) else { return add(.malformed) }
        reading.effects += 1
        guard events.count < room else {
            unlisted += 1
            return
        }
        let partition = try history.partition(effect.partition)
        var event = History.Event.effect(
            history.message(effect.id),
            partition,
            offset: effect.offset,
            generation: effect.generation
        )
        event.time = effect.time
        events.append(event)
    }

    private mutating func add(_ reason: EffectFile.Reading.Reason) {
        reading.damaged += 1
        if reason == .torn { reading.torn += 1 }
        guard reading.damage.count < EffectFile.Reading.maximumListedDamage else { return }
        reading.damage.append(EffectFile.Reading.Damage(position: position, length: length, reason: reason))
    }

    private static func parse(_ content: ArraySlice<UInt8>) -> EffectFile.Effect? {
        guard let text = String(validating: content, as: UTF8.self) else { return nil }
        let fields = text.split(separator: "\t", omittingEmptySubsequences: false)
        guard fields.count == 6, let partition = Int(fields[2]), partition >= 0, let offset = Int64(fields[3]),
            let generation = Int64(fields[4]), let time = Int64(fields[5]),
            fields[..<2].allSatisfy({ EffectFile.isPrintable(String($0)) })
        else { return nil }
        return EffectFile.Effect(
            id: String(fields[0]),
            partition: TopicPartition(String(fields[1]), partition),
            offset: offset,
            generation: generation,
            time: time
        )
    }
}
