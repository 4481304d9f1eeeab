#if Kafka
    internal import CRdkafka
    import Logging
    import Ratchet
    import Synchronization

    // What the cluster is asked for beside the reading, again and again until it answers.
    extension ConsumerThread {
        struct Question {
            enum Subject {
                /// What the group has committed of partitions that were assigned, and what their logs hold.
                case places([TopicPartition], generation: Int64)
                /// What the log holds of which a leader had nothing to give.
                case log(SessionState.Miss)
                /// Nothing: the log holds what comes next after all.
                case nothing(SessionState.Miss)
            }

            var subject: Subject
            /// When, in nanoseconds.
            var due: Int64
        }

        private static let retryDelay: Int64 = 1_000_000_000

        /// Asks what is due.
        func ask() {
            let now = now
            let due = questions.filter { $0.due <= now }
            questions.removeAll { $0.due <= now }
            for question in due {
                switch question.subject {
                case .places(let partitions, let generation):
                    lookup.places(of: partitions) { [weak self] places in
                        self?.submit { $0.answer(places, generation) }
                    }
                case .log(let miss):
                    lookup.log(of: miss.partition) { [weak self] result in
                        self?.submit { $0.answer(miss, result) }
                    }
                case .nothing(let miss): beginAnew(miss)
                }
            }
        }

        /// Tells what is known, and asks again for the rest alone: a partition without a leader keeps no other waiting.
        private func answer(_ places: Lookup.Places, _ generation: Int64) {
            var assignments: [Assignment] = []
            var failures: [TopicPartition: any Error] = [:]
            for (partition, place) in places {
                do {
                    let place = try place.get()
                    assignments.append(
                        Assignment(
                            partition: partition,
                            topicID: nil,
                            generation: generation,
                            committed: place.committed,
                            log: place.log
                        )
                    )
                } catch { failures[partition] = error }
            }
            let untold = state.withLock { $0.untold(places.map(\.partition), generation: generation) }
            for assignment in assignments where untold.contains(assignment.partition) {
                metrics.assigned(assignment.partition, assignment.committed?.offset ?? assignment.log.lowerBound)
            }
            state.withLock { $0.tell(assignments) }?.resume()
            let rest = untold.filter { failures[$0] != nil }
            guard let first = rest.first, let error = failures[first] else { return }
            askAgain(.places(rest, generation: generation), rest, error)
        }

        private func answer(_ miss: SessionState.Miss, _ result: Result<Range<Int64>, any Error>) {
            guard state.withLock({ $0.miss(of: miss.partition) }) == miss else { return }
            switch result {
            case .success(let log) where log.lowerBound <= miss.position && miss.position <= log.upperBound:
                // A leader that was behind: another one, or the same one a little later, has it.
                questions.append(Question(subject: .nothing(miss), due: now + Self.retryDelay))
            case .success(let log): state.withLock { $0.tell(miss, log: log) }?.resume()
            case .failure(let error): askAgain(.log(miss), [miss.partition], error)
            }
        }

        private func askAgain(_ subject: Question.Subject, _ partitions: [TopicPartition], _ error: any Error) {
            logger.warning(
                "partitions cannot be asked for, tried again",
                metadata: [LogKeys.error: "\(error)", LogKeys.partitions: "\(partitions.map(\.description))"]
            )
            questions.append(Question(subject: subject, due: now + Self.retryDelay))
        }

        private func beginAnew(_ miss: SessionState.Miss) {
            guard state.withLock({ $0.miss(of: miss.partition) }) == miss else { return }
            do {
                try begin(miss.partition, at: miss.position, generation: miss.generation)
            } catch {
                end(error)
            }
        }
    }
#endif
