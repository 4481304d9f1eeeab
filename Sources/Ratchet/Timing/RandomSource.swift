/// Where random bits come from, unless a test or a simulation brings its own.
public enum RandomSource {
    /// The operating system's generator: the only place where it is used.
    public static let system: @Sendable () -> UInt64 = {
        // Everything else takes its random bits from a setting, whose default this is.
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
