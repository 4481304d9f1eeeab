import LMDB
import Logging
import Ratchet
import Synchronization

extension SharedGroupShell {
    /// What a piece has taken, told to the group when it comes back.
    private final class Taken: Sendable {
        let write = Mutex<SharedGroup.Write?>(nil)
    }

    func persist() {
        let taken = Taken()
        // Beyond the quota too, as it replaces rows: a full broker can still be consumed from.
        let job = WriteJob(byteCount: 0, reclaims: true) { [self] transaction in
            let write = try state.withLock { state in
                if let failure = state.failure { throw failure }
                return state.core.takeWrite()
            }
            taken.write.withLock { $0 = write }
            try put(write, in: transaction)
            #if CrashPoints
                CrashPoint.queueAnswersWritten.reach()
            #endif
        } done: { [self] result in
            #if CrashPoints
                CrashPoint.queueAnswersCommitted.reach()
            #endif
            returned(taken.write.withLock { $0 }, result)
        }
        storage.submit(job)
    }

    private func put(_ write: SharedGroup.Write, in transaction: borrowing WriteTransaction) throws {
        do {
            for (partition, row) in write.rows {
                try SharedTable.write(row, topic, partition, name, in: transaction, storage.tables)
            }
        } catch {
            // At once: a later piece of this transaction must not write what was to be settled by this one.
            state.withLock { $0.failure = error }
            throw error
        }
    }

    private func returned(_ write: SharedGroup.Write?, _ result: Result<Void, any Error>) {
        switch result {
        case .success:
            noteWritten()
            if let write { tell(.persisted(write)) }
        case .failure(let error):
            failed(write, error)
        }
    }

    private func noteWritten() {
        let isNews = state.withLock { state in
            defer { state.isFailing = false }
            return state.isFailing
        }
        if isNews { logger.info("What was answered is written again.", metadata: LogKeys.group(name)) }
    }

    /// What was answered stays answered, in memory alone: it is written with what comes next, or the next tick, and who
    /// has answered waits for that; unless nothing of the group will ever be written.
    private func failed(_ write: SharedGroup.Write?, _ error: any Error) {
        tell(.notPersisted(write))
        let isForGood = isForGood(error)
        let isNews = state.withLock { state in
            state.failure = nil
            defer { state.isFailing = true }
            return !state.isFailing
        }
        if isNews || isForGood {
            logger.error("What was answered cannot be written.", metadata: LogKeys.error(error, group: name))
        }
        if isForGood { endForGood(error) }
    }

    /// Whether the storage has failed, the topic is gone, or the group has ended anyway.
    private func isForGood(_ error: any Error) -> Bool {
        if (error as? SourceError)?.code == .unknownTopic || state.withLock({ $0.end != nil }) { return true }
        return (error as? BrokerError).map(storage.hasEnded) ?? false
    }

    private func endForGood(_ error: any Error) {
        let waiting = state.withLock { state in
            if state.end == nil { state.end = error }
            defer { state.requests = [:] }
            // Any order: all of them are told the same.
            return Array(state.requests.values)
        }
        for request in waiting { request.resume(throwing: error) }
        end(error)
    }

    /// Moves messages to the dead-letter topic and settles them, in one transaction.
    func bury(_ letters: [SharedGroup.DeadLetter], _ request: SharedGroup.RequestID?) {
        let destination = state.withLock { $0.settings.deadLetterTopic } ?? ""
        let messages: JointAppend
        do { messages = try deadLetters.messages(of: letters, from: self, to: destination) } catch {
            return notBuried(letters, request, error)
        }
        let taken = Taken()
        let tables = storage.tables
        let job = WriteJob(byteCount: messages.byteCount, reclaims: true) { [self] transaction in
            try messages.write(in: transaction, tables)
            let write = try state.withLock { state in
                if let failure = state.failure { throw failure }
                _ = state.core.handle(.deadLetterWritten(letters), now: clock.now)
                return state.core.takeWrite(isAsked: false)
            }
            taken.write.withLock { $0 = write }
            try put(write, in: transaction)
            #if CrashPoints
                CrashPoint.queueDeadWritten.reach()
            #endif
        } done: { [self] result in
            #if CrashPoints
                CrashPoint.queueDeadCommitted.reach()
            #endif
            let write = taken.write.withLock { $0 }
            switch result {
            case .success:
                messages.published()
                noteWritten()
                tell(.deadLettered(letters))
                if let write { tell(.persisted(write)) }
                let waiting = request.flatMap { request in state.withLock { $0.requests.removeValue(forKey: request) } }
                waiting?.resume()
            case .failure(let error):
                messages.discarded()
                // First: no row may say of these that they are settled.
                notBuried(letters, request, error)
                if let write { failed(write, error) }
            }
        }
        storage.submit(job)
    }

    private func notBuried(_ letters: [SharedGroup.DeadLetter], _ request: SharedGroup.RequestID?, _ error: any Error) {
        logger.error(
            "Messages cannot be moved to the dead-letter topic: they are delivered again.",
            metadata: LogKeys.error(error, group: name)
        )
        tell(.notDeadLettered(letters))
        let waiting = request.flatMap { request in state.withLock { $0.requests.removeValue(forKey: request) } }
        waiting?.resume(throwing: error)
    }
}
