#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What one system call did to the state folder.
struct Call {
    enum Operation {
        /// The result is the descriptor.
        case open(path: String, flags: Set<Substring>)
        case close(Int)
        case seek(Int)
        /// Without an offset: where the descriptor stands.
        case write(Int, at: Int?, [UInt8])
        case resize(Int, to: Int)
        /// The file is at least as long afterwards.
        case allocate(Int, through: Int)
        case synchronize(Int)
        case rename(String, to: String)
        case makeFolder(String)
        case remove(String)
        /// Another process: its descriptors are its own.
        case newProcess
    }

    let operation: Operation
    let result: Int
}

/// What happens in a recording, in order: a call's beginning and its end, with others between them.
enum Step {
    case begin(Int)
    case end(Int)
}

/// The traces that strace made of runs one after the other over the same state folder.
struct Recording {
    /// The state folder's path when it was recorded.
    let folder: String
    private(set) var calls: [Call] = []
    private(set) var steps: [Step] = []
    /// The first step of each run.
    private(set) var runs: [Int] = []

    /// Reads `run-1.trace`, `run-2.trace` and so on, and the folder's path from `path`.
    init(at directory: String) throws {
        guard let path = FileManager.default.contents(atPath: "\(directory)/path") else {
            throw Problem("\(directory) holds no recording: it has no file named path")
        }
        folder = String(decoding: path, as: UTF8.self).trimmingSuffix("\n")
        while let trace = FileManager.default.contents(atPath: "\(directory)/run-\(runs.count + 1).trace") {
            runs.append(steps.count)
            add(Call(operation: .newProcess, result: 0))
            try read([UInt8](trace))
        }
        guard !runs.isEmpty else { throw Problem("\(directory) has no run-1.trace") }
    }

    private mutating func add(_ call: Call) {
        steps += [.begin(calls.count), .end(calls.count)]
        calls.append(call)
    }

    private mutating func read(_ trace: [UInt8]) throws {
        // By thread: what has begun and not ended, and where in the steps.
        var unfinished: [Substring: (line: TraceLine, step: Int)] = [:]
        var begun: [(line: TraceLine, result: Int?)] = []
        var order: [(call: Int, isEnd: Bool)] = []
        for text in trace.split(separator: UInt8(ascii: "\n")) {
            guard let line = try TraceLine(text) else { continue }
            if line.isResumed {
                guard let start = unfinished.removeValue(forKey: line.thread) else {
                    throw Problem("a call is resumed that did not begin: \(line.name)")
                }
                begun[start.step].result = line.result
                order.append((start.step, true))
                continue
            }
            order.append((begun.count, false))
            if line.isUnfinished {
                unfinished[line.thread] = (line, begun.count)
            } else {
                order.append((begun.count, true))
            }
            begun.append((line, line.result))
        }
        try keep(begun, order)
    }

    /// Keeps what succeeded and may matter.
    private mutating func keep(
        _ begun: [(line: TraceLine, result: Int?)],
        _ order: [(call: Int, isEnd: Bool)]
    ) throws {
        var numbers: [Int: Int] = [:]
        for (number, call) in begun.enumerated() {
            guard let result = call.result, result >= 0 else { continue }
            guard let operation = try call.line.operation(result) else { continue }
            numbers[number] = calls.count
            calls.append(Call(operation: operation, result: result))
        }
        for (number, isEnd) in order {
            guard let call = numbers[number] else { continue }
            steps.append(isEnd ? .end(call) : .begin(call))
        }
    }
}

/// What is wrong with a recording, or with what was asked.
struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension String {
    func trimmingSuffix(_ suffix: String) -> String { hasSuffix(suffix) ? String(dropLast(suffix.count)) : self }
}
