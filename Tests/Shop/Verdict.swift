/// Whether what the program was told before it was killed holds, by its books and by what the broker holds in the end.
struct Verdict: CustomStringConvertible {
    /// What is missing, what is there or was done twice, and what else is wrong; one text each.
    private(set) var lost: [String] = []
    private(set) var twice: [String] = []
    private(set) var wrong: [String] = []

    private let books: [[String]]
    private let logs: [String: [String]]

    /// `committed` is how far the orders are passed on, by the group's offset.
    init(books: [[String]], logs: [String: [String]], committed: Int64) {
        self.books = books
        self.logs = logs
        checkSending()
        checkTransactions(committed)
        checkAnswers()
        checkDeadLetters()
    }

    /// One object in a line, for `Tests/Crash/programs.sh`; what is wrong is told before it.
    var description: String {
        let told = [("lost", lost), ("twice", twice), ("wrong", wrong)]
        let lines = told.flatMap { kind, texts in texts.prefix(5).map { "\(kind): \($0)" } }
        let counts = told.map { "\"\($0)\":\($1.count)" }.joined(separator: ",")
        return (lines + ["{\"lives\":\(lives),\(counts)}"]).joined(separator: "\n")
    }

    /// How many lives came so far that a consumer was given something.
    private var lives: Int { Set(books.filter { $0[0] == "got" }.map { $0[4] }).count }

    private func ids(_ word: String) -> [String] { books.filter { $0[0] == word }.map { $0[1] } }
    private func log(_ topic: String) -> [String] { logs[topic] ?? [] }

    /// Those that are there more than once, in order.
    private func repeats(_ ids: [String]) -> [String] {
        var seen: Set<String> = []
        return ids.filter { !seen.insert($0).inserted }
    }

    /// What an idempotent producer was told is there, and nothing is there twice, though answers were lost.
    private mutating func checkSending() {
        let sent = ids("sent")
        let all = log("plain") + log("orders") + log("jobs")
        lost += Set(sent).subtracting(all).sorted().map { "\($0) was confirmed, and is not there" }
        twice += repeats(all).map { "\($0) is in the log twice" }
        wrong += repeats(sent).map { "\($0) was confirmed twice" }
    }

    /// Each order is passed on once, to both topics, with its offset.
    private mutating func checkTransactions(_ committed: Int64) {
        let orders = log("orders")
        for topic in ["receipts", "journal"] {
            let found = log(topic)
            lost += Set(orders).subtracting(found).sorted().map { "\($0) is not in \(topic)" }
            twice += repeats(found).map { "\($0) is in \(topic) twice" }
            if let other = zip(orders, found).first(where: { $0 != $1 }) {
                wrong.append("\(other.1) is in \(topic) where \(other.0) should be")
            }
        }
        if committed != orders.count { wrong.append("\(orders.count) orders, and the group is at \(committed)") }
        let billed = ids("billed")
        twice += repeats(billed).map { "\($0) was passed on twice" }
        wrong += Set(billed).subtracting(orders).sorted().map { "\($0) was passed on, and is no order" }
    }

    /// What was answered for good never comes again, and what comes again says so and counts.
    private mutating func checkAnswers() {
        var settled: Set<String> = []
        var seen: [String: (count: Int, life: String)] = [:]
        for line in books {
            let id = line[1]
            switch line[0] {
            case "acked", "rejected": if !settled.insert(id).inserted { twice.append("\(id) was answered twice") }
            case "got":
                let (count, isAgain, life) = (Int(line[2]) ?? 0, line[3] == "again", line[4])
                if settled.contains(id) { twice.append("\(id) came after its answer") }
                if let before = seen[id] {
                    if !isAgain { wrong.append("\(id) came again as if for the first time") }
                    // Only a crash may forget deliveries that nobody had answered.
                    if before.life == life, count != before.count + 1 { wrong.append("\(id) has count \(count)") }
                }
                if !isAgain, count != 1 { wrong.append("\(id) came for the first time, with count \(count)") }
                if !(1...Crew.deliveryLimit ~= count) { wrong.append("\(id) has count \(count)") }
                seen[id] = (count, life)
            default: break
            }
        }
    }

    /// Each job is done or a dead letter, once; of those that were on their way in a kill either may be so.
    private mutating func checkDeadLetters() {
        let dead = log("dead")
        let (acked, rejected) = (Set(ids("acked")), Set(ids("rejected")))
        twice += repeats(dead).map { "\($0) is a dead letter twice" }
        twice += acked.intersection(dead).sorted().map { "\($0) is done, and a dead letter" }
        lost += rejected.subtracting(dead).sorted().map { "\($0) was rejected, and is no dead letter" }
        wrong += Set(dead).subtracting(log("jobs")).sorted().map { "\($0) is a dead letter, and no job" }
        let lastLife = books.last { $0[0] == "finish" }.map { $0[1] }
        var lives: [String: String] = [:]
        for line in books where line[0] == "got" { lives[line[1]] = line[4] }
        for id in log("jobs") where !Crew.isEnd(id) && !dead.contains(id) {
            let isNeverDone = Crew.isNeverDone(id)
            // Acked, and killed before it was told.
            let isUntold = !isNeverDone && lives[id].map { $0 != lastLife } ?? false
            if isNeverDone || !acked.contains(id) && !isUntold {
                lost.append("\(id) is neither done nor a dead letter")
            }
        }
    }
}
