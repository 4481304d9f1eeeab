import Seeds

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

/// Makes the states that power cuts may leave of a recorded run, for `Tests/crash powercut`.
///
///     power-cut states RECORDING COUNT SEED FOLDER     one state after the other in FOLDER, each at a line of input
///     power-cut state RECORDING STEP SEED FOLDER       one of them again
///     power-cut bad RECORDING COUNT SEED LIE           how many are bad at first sight, if the disk lies: see `Volume.Lie`
///     power-cut whole RECORDING FOLDER                 whether the recording ends with what is in FOLDER
@main
enum PowerCut {
    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        var status: Int32 = 0
        do {
            try perform(words)
        } catch {
            print("\(error)")
            status = 1
        }
        fflush(nil)
        // The shell closes the pipe of a program that has ended, also when it has not read all.
        if words.first == "states" { _ = readLine() }
        exit(status)
    }

    private static func perform(_ words: [String]) throws {
        let numbers = words.dropFirst(2).prefix(2).map { UInt64($0) }
        switch (words.first, words.count, numbers.first ?? nil, numbers.last ?? nil) {
        case ("states", 5, let count?, let seed?):
            try Session(try Recording(at: words[1])).states(Int(count), seed, words[4])
        case ("state", 5, let step?, let seed?):
            try Session(try Recording(at: words[1])).state(Int(step), seed, words[4])
        case ("bad", 5, let count?, let seed?):
            try Session(try Recording(at: words[1]), lie: Volume.Lie(rawValue: words[4])).countBad(Int(count), seed)
        case ("whole", 3, _, _): try Session(try Recording(at: words[1])).compare(with: words[2])
        default: throw Problem("it is called in another way, see Tests/PowerCut/PowerCut.swift: \(words)")
        }
    }
}

/// Plays one recording.
struct Session {
    private let recording: Recording
    private let lie: Volume.Lie?

    init(_ recording: Recording, lie: Volume.Lie? = nil) {
        self.recording = recording
        self.lie = lie
    }

    /// The steps after which a cut may have several outcomes, and the first one after each time of those.
    private func cutPoints() throws -> [Int] {
        let volume = Volume(recording, lie: lie)
        var points: [Int] = []
        var wasAtRisk = true
        for (number, step) in recording.steps.enumerated() {
            try volume.perform(step)
            let isAtRisk = volume.isAtRisk
            if isAtRisk || wasAtRisk { points.append(number) }
            wasAtRisk = isAtRisk
        }
        return points
    }

    /// Calls `body` with so many states that all differ, spread evenly over the cut points.
    private func visit(
        _ count: Int,
        _ seed: UInt64,
        _ body: (CutState, _ step: Int, _ seed: UInt64, Volume) throws -> Void
    ) throws -> (states: Int, points: Int) {
        var random = Seed(value: seed).random
        let points = try cutPoints().shuffled(using: &random)
        var wanted: [Int: Int] = [:]
        for number in 0..<count { wanted[points[number % points.count], default: 0] += 1 }
        let volume = Volume(recording, lie: lie)
        var seen: Set<Int> = []
        // What a point has too few states for is left to the next one.
        var left = 0
        for (number, step) in recording.steps.enumerated() {
            try volume.perform(step)
            guard let here = wanted[number] else { continue }
            left += here
            for _ in 0..<8 * left where left > 0 {
                let seed = random.next() >> 1
                let state = CutState(of: volume, seed: seed)
                guard seen.insert(state.fingerprint).inserted else { continue }
                left -= 1
                try body(state, number, seed, volume)
            }
        }
        return (seen.count, wanted.count)
    }

    func states(_ count: Int, _ seed: UInt64, _ folder: String) throws {
        let made = try visit(count, seed) { state, step, seed, volume in
            try offer(state, step, seed, volume, folder)
            guard readLine() != nil else { throw Problem("nobody wants the next state") }
        }
        print("done \(made.states) different states at \(made.points) cut points of \(recording.steps.count) steps")
    }

    func state(_ step: Int, _ seed: UInt64, _ folder: String) throws {
        let volume = Volume(recording, lie: lie)
        for step in recording.steps.prefix(step + 1) { try volume.perform(step) }
        try offer(CutState(of: volume, seed: seed), step, seed, volume, folder)
    }

    /// Makes the folder and says in which run the cut was, and what is wrong with it at first sight.
    private func offer(_ state: CutState, _ step: Int, _ seed: UInt64, _ volume: Volume, _ folder: String) throws {
        try state.write(to: folder)
        let run = recording.runs.lastIndex { $0 <= step } ?? 0
        print("state \(run + 1) \(step) \(seed) \(try Verdict.problem(of: state, volume) ?? "")")
        // Its reader waits for each line.
        fflush(nil)
    }

    func countBad(_ count: Int, _ seed: UInt64) throws {
        var bad = 0
        let made = try visit(count, seed) { state, _, _, volume in
            if try Verdict.problem(of: state, volume) != nil { bad += 1 }
        }
        print("\(bad) of \(made.states)")
    }

    /// The model is right about what programs see: else what it says of cuts means nothing.
    func compare(with folder: String) throws {
        let volume = Volume(recording, lie: lie)
        for step in recording.steps { try volume.perform(step) }
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder)
        var played: [String] = []
        func compare(_ inode: Inode, _ path: String) throws {
            for (name, child) in inode.names.sorted(by: { $0.key < $1.key }) {
                played.append(path + name)
                if child.isFolder {
                    try compare(child, path + name + "/")
                } else if name != "lock.mdb" {
                    let found = FileManager.default.contents(atPath: "\(folder)/\(path)\(name)") ?? Data()
                    guard found == Data(child.bytes) else {
                        throw Problem("\(path)\(name) is not what the recording wrote: a call is missing in it")
                    }
                }
            }
        }
        try compare(volume.root, "")
        guard Set(played) == Set(names) else { throw Problem("the folder holds \(names), the recording \(played)") }
    }
}
