import CFaults

/// Calls that are counted, and one of them failed, on the files under one path. See `CFaults.h`.
final class Watch: Sendable {
    struct Calls: OptionSet, Sendable {
        let rawValue: Int32

        static let fdatasync = Calls(rawValue: Int32(FAULTS_FDATASYNC))
        static let fsync = Calls(rawValue: Int32(FAULTS_FSYNC))
        /// LMDB writes its pages with these, and last the one that makes the commit valid.
        static let writes = Calls(rawValue: Int32(FAULTS_WRITES))
        static let all = Calls(rawValue: Int32(FAULTS_ALL))
    }

    private let number: Int32

    /// Counts calls.
    init(_ calls: Calls, under path: String) {
        number = faults_arm(calls.rawValue, path, 0, 0)
        precondition(number >= 0, "Too many watches are armed.")
    }

    /// Counts calls and fails one.
    init(_ calls: Calls, under path: String, failing nth: Int, with error: Int32) {
        number = faults_arm(calls.rawValue, path, UInt32(nth), error)
        precondition(number >= 0, "Too many watches are armed.")
    }

    deinit { faults_disarm(number) }

    var count: Int { Int(faults_count(number)) }
}
