/// A session whose log can be read again beside the delivery: what a pipeline needs to remember the keys of messages that
/// another ledger has done. See ``ResumePolicy/Lineage/rebuild``.
public protocol RereadableSession: SourceSession {
    /// Messages of an assigned partition, in order, as many as a fetch brings: the first that the log still holds at or
    /// after `offset`, none at or after `end`. Nil when it holds none between. What is delivered, committed and paused
    /// stays as it is.
    ///
    /// Throws ``SourceError``: `notAssigned`, `corrupted`; `CancellationError` when cancelled.
    func messages(from offset: Int64, to end: Int64, of partition: TopicPartition) async throws -> MessageBatch?
}
