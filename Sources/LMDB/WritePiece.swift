/// Work for a ``WriterThread``: what one caller wants written, whole or not at all.
public protocol WritePiece: AnyObject, Sendable {
    /// About how many bytes it writes: bounds the groups, and counts against the quota. Read once, when it is
    /// submitted.
    var byteCount: Int { get }

    /// Whether it frees more than it writes, as an expiry does: then it runs beyond the quota too. Default: false.
    var reclaims: Bool { get }

    /// Whether its failure undoes only its own writes. That takes a nested transaction where pieces share a commit,
    /// which copies every page that it touches: a piece that undoes its failures itself, and can fail in no other way
    /// than the environment as a whole, answers false and costs half. Its error then undoes the whole group. Default:
    /// true.
    var failsAlone: Bool { get }

    /// Does the work, on the writer thread, at most once. What it wrote is not safe yet when it returns.
    ///
    /// - Parameter transaction: Where to write. When this throws, what it wrote is undone, and nothing else.
    func write(in transaction: borrowing WriteTransaction) throws

    /// How many bytes it wrote whose commit may wait for that of later pieces, within ``WriterThread/Limits/delay`` and
    /// ``WriterThread/Limits/delayedBytes``; nil when they are to be committed at once. Asked right after `write`.
    /// Default: nil.
    var delayableBytes: Int? { get }

    /// What it wrote may wait for its commit, and no failure of another piece undoes it: it is lost only if that commit
    /// fails, or if the process dies before. Called on the writer thread, inside the transaction, where
    /// ``delayableBytes`` is not nil; not always. Must not block.
    func written()

    /// Takes the outcome, exactly once. Must not block.
    ///
    /// Called on the writer thread, after the commit of the piece's group, or on the thread of `submit` when the piece
    /// was not taken on.
    ///
    /// - Parameter result: Success when the piece's writes are committed as safely as the environment does; else the
    ///   error that undid them, or kept them from being made.
    func completed(_ result: Result<Void, any Error>)
}

extension WritePiece {
    /// False.
    public var reclaims: Bool { false }

    /// True.
    public var failsAlone: Bool { true }

    /// Nil: to be committed at once.
    public var delayableBytes: Int? { nil }

    /// Nothing.
    public func written() {}
}
