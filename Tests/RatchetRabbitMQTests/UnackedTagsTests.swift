#if RabbitMQ
    import Seeds
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct UnackedTagsTests {
        private static func delivered(_ count: Int) -> UnackedTags {
            var tags = UnackedTags()
            for _ in 0..<count { tags.deliver() }
            return tags
        }

        @Test("What is done without a gap is answered at once, what lies above one by one")
        func prefix() {
            var tags = Self.delivered(10)
            #expect(tags.answer(through: 3, tags: [4, 7, 9]) == .init(through: 4, tags: [7, 9]))
            #expect(tags.answer(through: 5, tags: []) == .init(through: 5, tags: []))
            // The gap is closed by one, and those above it were answered before.
            #expect(tags.answer(through: nil, tags: [6]) == .init(through: 6, tags: []))
            #expect(tags.first == 8)
            #expect(tags.answer(through: nil, tags: [10]) == .init(through: nil, tags: [10]))
            #expect(tags.last == 8 && tags.count == 1)
        }

        @Test("What was answered is not answered again")
        func twice() {
            var tags = Self.delivered(5)
            #expect(tags.answer(through: 2, tags: [4]) == .init(through: 2, tags: [4]))
            #expect(tags.answer(through: 2, tags: [4, 1, 4]).isEmpty)
            #expect(tags.answer(through: 5, tags: []) == .init(through: 5, tags: []))
            #expect(tags.answer(through: 5, tags: [1, 2, 3, 4, 5]).isEmpty)
            #expect(tags.last == nil && tags.count == 0 && tags.next == 6)
        }

        @Test("A server that follows the answers is left with exactly what is open", arguments: Seed.some(200))
        func model(_ seed: Seed) {
            var random = seed.random
            var tags = UnackedTags()
            // The server's own list, and what we have answered.
            var (server, answered): (Set<Int64>, Set<Int64>) = ([], [])
            for _ in 0..<200 {
                if random.chance(60) {
                    server.insert(tags.next)
                    tags.deliver()
                    continue
                }
                let delivered = tags.next - 1
                guard delivered > 0 else { continue }
                let through = random.chance(50) ? Int64(random.below(Int(delivered) + 1)) : nil
                let singles = (0..<random.below(4)).map { _ in Int64(random.below(Int(delivered))) + 1 }
                #expect(tags.hasDelivered(through: through, singles))
                let answer = tags.answer(through: through, tags: singles)
                if let through { answered.formUnion((0...through).filter { $0 > 0 }) }
                answered.formUnion(singles)
                if let last = answer.through {
                    // It closes a channel that answers what is not open.
                    #expect(server.contains(last), "\(seed)")
                    server.subtract(server.filter { $0 <= last })
                }
                for tag in answer.tags { #expect(server.remove(tag) != nil, "\(seed)") }
                #expect(server == Set((1..<tags.next).filter { !answered.contains($0) }), "\(seed)")
                #expect(tags.count == server.count && tags.last == server.max(), "\(seed)")
            }
        }

        @Test("A tag that was never delivered is told")
        func unknown() {
            let tags = Self.delivered(3)
            #expect(tags.hasDelivered(through: 3, [1, 3]))
            #expect(!tags.hasDelivered(through: 4, []))
            #expect(!tags.hasDelivered(through: nil, [4]))
            #expect(!tags.hasDelivered(through: nil, [0]))
        }
    }
#endif
