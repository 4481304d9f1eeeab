#if RabbitMQ
    import DequeModule
    import Ratchet

    /// The deliveries of one channel that have not been answered: each is acked or nacked once, as the server closes a
    /// channel that answers one twice. Pure.
    struct UnackedTags {
        /// What to send for an answer.
        struct Answer: Equatable {
            /// All up to this tag that have not been answered; nil for none.
            var through: Int64?
            /// And these, in rising order.
            var tags: [Int64] = []
            var isEmpty: Bool { through == nil && tags.isEmpty }
        }

        /// The first tag that may not be answered.
        private(set) var first: Int64 = 1
        /// Whether each from there on has been answered.
        private var isAnswered = Deque<Bool>()

        /// The tag that the next delivery has.
        var next: Int64 { first + Int64(isAnswered.count) }
        /// How many were not answered.
        private(set) var count = 0
        /// The last tag that was not answered.
        var last: Int64? { isAnswered.lastIndex(of: false).map { first + Int64($0) } }

        /// A delivery with the next tag.
        mutating func deliver() {
            isAnswered.append(false)
            count += 1
        }

        /// Whether all of this has been delivered.
        func hasDelivered(through: Int64?, _ tags: [Int64]) -> Bool {
            (through ?? 0) < next && tags.allSatisfy { $0 > 0 && $0 < next }
        }

        /// Answers all up to `through` and `tags`, which have been delivered. What was answered before is left out; what
        /// is below the first that is still open goes in one answer.
        mutating func answer(through: Int64?, tags: [Int64]) -> Answer {
            var answered: [Int64] = []
            if let through, through >= first {
                for tag in first...through where mark(tag) { answered.append(tag) }
            }
            for tag in tags.sorted() where mark(tag) { answered.append(tag) }
            while isAnswered.first == true {
                isAnswered.removeFirst()
                first += 1
            }
            let above = answered.firstIndex { $0 >= first } ?? answered.count
            return Answer(through: above > 0 ? answered[above - 1] : nil, tags: Array(answered[above...]))
        }

        /// Whether it had not been answered.
        private mutating func mark(_ tag: Int64) -> Bool {
            guard tag >= first, !isAnswered[Int(tag - first)] else { return false }
            isAnswered[Int(tag - first)] = true
            count -= 1
            return true
        }
    }
#endif
