import Synchronization
import Testing

@testable import RatchetBroker

@Suite("A batch whose parts go to several nodes")
struct AnswersTests {
    private static func code(_ errors: [BrokerError.Code?]) throws -> BrokerError.Code? {
        let outcome = Mutex<Result<[Int64], any Error>?>(nil)
        let answers = Answers(count: errors.count, segments: errors.count) { result in
            outcome.withLock { $0 = result }
        }
        for (segment, error) in errors.enumerated() {
            #expect(outcome.withLock { $0 == nil })
            answers.add(error.map { .failure(BrokerError($0, "")) } ?? .success([Int64(segment) + 7]), [segment])
        }
        do {
            let offsets = try #require(outcome.withLock { $0 }).get()
            #expect(offsets == errors.indices.map { Int64($0) + 7 })
            return nil
        } catch let error as BrokerError {
            return error.code
        }
    }

    @Test("It is confirmed when all are, and not written when none is")
    func whole() throws {
        #expect(try Self.code([nil, nil, nil]) == nil)
        #expect(try Self.code([.notEnoughReplicas, .leaderNotAvailable]) == .notEnoughReplicas)
    }

    @Test("Where a part is written, or may be, it is not known of the whole")
    func unknown() throws {
        for other in [BrokerError.Code.notEnoughReplicas, .leaderNotAvailable, .full, .fenced] {
            #expect(try Self.code([.timedOut, other]) == .timedOut)
            #expect(try Self.code([other, .timedOut]) == .timedOut)
            #expect(try Self.code([other, nil]) == .timedOut)
        }
    }
}
