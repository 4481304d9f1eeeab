#if RabbitMQ
    import Ratchet
    import Seeds
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct PublishWindowTests {
        private struct Full: Error {}

        /// Messages of one queue with these keys, nil for none.
        private static func window(_ keys: [String?], waitsInLanes: Bool = true) throws -> PublishWindow {
            let messages = keys.map { OutgoingMessage(to: "q", key: $0, payload: [1]) }
            return PublishWindow(try OutgoingBatch(messages), waitsInLanes: waitsInLanes)
        }

        /// Publishes all that may be; the channel's next number is `tag`.
        private static func publish(_ window: inout PublishWindow, _ tag: inout UInt64, limit: Int = 100) -> [Int] {
            var published: [Int] = []
            while let index = window.next(limit: limit) {
                window.published(index, as: tag)
                tag += 1
                published.append(index)
            }
            return published
        }

        @Test("All go in order, and a message waits for the one of its key before it")
        func lanes() throws {
            var (window, tag) = (try Self.window(["a", "b", nil, "a", nil, "b"]), UInt64(1))
            #expect(Self.publish(&window, &tag) == [0, 1, 2])
            window.answered(2, isMultiple: false, nil)
            #expect(Self.publish(&window, &tag) == [])
            window.answered(1, isMultiple: false, nil)
            #expect(Self.publish(&window, &tag) == [3, 4, 5])
            window.answered(6, isMultiple: true, nil)
            #expect(window.isDone && window.failures.isEmpty)
        }

        @Test("With a message that fails those of its key behind it fail unpublished, and no others")
        func failing() throws {
            var (window, tag) = (try Self.window(["a", "b", "a", nil, "b"]), UInt64(40))
            #expect(Self.publish(&window, &tag) == [0, 1])
            window.answered(40, isMultiple: false, Full())
            #expect(Self.publish(&window, &tag) == [3])
            window.answered(42, isMultiple: true, nil)
            #expect(Self.publish(&window, &tag) == [4])
            window.answered(43, isMultiple: false, nil)
            #expect(window.isDone && window.failures.map(\.index) == [0, 2])
        }

        @Test("No more are on their way than the window holds")
        func limit() throws {
            var (window, tag) = (try Self.window(Array(repeating: nil, count: 5)), UInt64(1))
            #expect(Self.publish(&window, &tag, limit: 2) == [0, 1])
            // Out of order: the first is still there, and both places count.
            window.answered(2, isMultiple: false, nil)
            #expect(window.outstandingCount == 2)
            window.answered(1, isMultiple: false, nil)
            #expect(Self.publish(&window, &tag, limit: 2) == [2, 3])
        }

        @Test("A message that comes back fails, and its confirm behind that changes nothing")
        func returned() throws {
            var (window, tag) = (try Self.window([nil, "a", "a"]), UInt64(1))
            _ = Self.publish(&window, &tag)
            window.returned(Full()) { $0 == 1 }
            window.answered(2, isMultiple: true, nil)
            #expect(window.isDone && window.failures.map(\.index) == [1, 2])
        }

        @Test("Answers to what was published before it, or never, change nothing")
        func others() throws {
            var (window, tag) = (try Self.window([nil, nil]), UInt64(10))
            window.answered(3, isMultiple: true, nil)
            _ = Self.publish(&window, &tag)
            window.answered(9, isMultiple: true, Full())
            window.answered(12, isMultiple: false, Full())
            #expect(window.open == 2)
            window.giveUp(Full())
            #expect(window.isDone && window.failures.map(\.index) == [0, 1])
        }

        @Test("In a transaction all are published in order, and none waits")
        func transaction() throws {
            var (window, tag) = (try Self.window(["a", "a", nil, "a"], waitsInLanes: false), UInt64(1))
            #expect(Self.publish(&window, &tag) == [0, 1, 2, 3])
            window.returned(Full()) { $0 == 1 }
            window.committed()
            #expect(window.isDone && window.failures.map(\.index) == [1, 3])
        }

        @Test(
            "In whatever order confirms come, each message ends once, and a key's order holds",
            arguments: Seed.some(200)
        )
        func random(_ seed: Seed) throws {
            var random = seed.random
            let keys = (0..<60).map { _ in random.chance(30) ? nil : "key-\(random.below(5))" }
            var (window, tag) = (try Self.window(keys), UInt64(1))
            // What is on its way, and what the queue has, in its order.
            var (open, queue): ([(tag: UInt64, index: Int)], [Int]) = ([], [])
            while !window.isDone {
                while let index = window.next(limit: 8) {
                    window.published(index, as: tag)
                    open.append((tag, index))
                    tag += 1
                }
                let (answered, index) = open.remove(at: random.below(open.count))
                if random.chance(20) {
                    window.answered(answered, isMultiple: false, Full())
                } else {
                    queue.append(index)
                    window.answered(answered, isMultiple: false, nil)
                }
            }
            let failed = window.failures.map(\.index)
            #expect(failed == failed.sorted() && Set(failed).isDisjoint(with: queue), "\(seed)")
            #expect(failed.count + queue.count == 60, "\(seed)")
            for key in 0..<5 {
                let own = queue.filter { keys[$0] == "key-\(key)" }
                #expect(own == own.sorted(), "\(seed)")
                if let first = failed.first(where: { keys[$0] == "key-\(key)" }) {
                    #expect(own.allSatisfy { $0 < first }, "\(seed)")
                }
            }
        }
    }
#endif
