/// Something that a connector does wrong, and the checks that must find it.
struct Mistake: Sendable, CustomStringConvertible {
    enum Kind: Sendable {
        case losesMessage, repeatsMessage, forgetsHole, startsByItself, ignoresPause, losesWhenCancelled, closesOnce
        case startsAtLogStart, losesEmptyHeader, cutsPayload, makesTopic, tellsOldLog, readsOther, readsPastEnd
        case forgetsTopicID, countsTwice, cutsMetadata, acceptsOldGeneration, commitsPartly, commitsFirst
        case startsOldGeneration, tellsOldGeneration, releasesAtOnce, ownsTwice, renamesEvent
        case tellsOtherGroup, tellsLongLog, tellsOldCommit, takesLateCommit, takesStrangeCommit
        case sleepsOn, staysAfterClose, sharesGroups
        case failsOnNothing, confirmsEarly, reordersKey, spreadsKey, ignoresPartition, failsAll, sendsBehind,
            renamesRepeat
    }

    let kind: Kind
    let description: String
    /// The checks that must fail, with all others kept: their names.
    let found: Set<String>
    /// The checks that may fail as well, by chance.
    let perhaps: Set<String>

    init(_ kind: Kind, _ description: String, _ found: String..., perhaps: String...) {
        self.kind = kind
        self.description = description
        self.found = Set(found)
        self.perhaps = Set(perhaps)
    }
}

extension Mistake {
    static let ofSources = [
        Mistake(.losesMessage, "loses a message", order),
        Mistake(.repeatsMessage, "delivers a message twice", order),
        Mistake(
            .forgetsHole,
            "starts a batch at its first message",
            "Each batch starts where the one before it ended, so that no offset between them is forgotten"
        ),
        Mistake(
            .startsByItself,
            "delivers before the start, once another partition is started",
            "Nothing of a partition is delivered before it is started"
        ),
        Mistake(
            .ignoresPause,
            "delivers while paused",
            "A partition delivers nothing while it is paused, and all of it afterwards"
        ),
        Mistake(
            .losesWhenCancelled,
            "loses what comes as next is cancelled",
            "A call of next that is cancelled loses nothing"
        ),
        Mistake(
            .closesOnce,
            "says only once that it is closed",
            "A session that is closed says so for ever, also to the call that waits"
        ),
        Mistake(
            .startsAtLogStart,
            "begins at the log's start, wherever it is started",
            "A partition is delivered from the offset that it is started at",
            "A partition that is started at the log's end delivers what comes after",
            "What was not committed comes again, and what was does not",
            "A revoked partition is the next member's only once it was released"
        ),
        Mistake(
            .losesEmptyHeader,
            "loses headers without a value",
            "Key, headers and payload arrive as they were sent"
        ),
        Mistake(
            .cutsPayload,
            "loses large messages' ends",
            "A payload of the largest size arrives whole, and what is behind it too"
        ),
        Mistake(
            .makesTopic,
            "makes a topic for who subscribes to none",
            "A subscription to a topic that does not exist is refused"
        ),
        Mistake(
            .tellsOtherGroup,
            "names another group",
            "A source names its group, its cluster and its system, each time the same"
        ),
        Mistake(
            .renamesEvent,
            "changes ids with each record",
            "A pipeline has the effect of each event once, however often it was sent",
            "A pipeline that is shut down and begun again has each effect once",
            "A pipeline that is cut off and begun again has each effect once",
            "Members that come and go have each effect once between them",
            "What a pipeline publishes can be read, each receipt under one id"
        ),
    ]

    static let ofLogs = [
        Mistake(
            .tellsOldLog,
            "tells the range that the log once had",
            "What retention has removed is in no range, and is read as none"
        ),
        Mistake(
            .tellsLongLog,
            "tells a range that goes beyond the log",
            "The assignment tells which offsets the log holds",
            "A partition that is started at the log's end delivers what comes after"
        ),
        Mistake(
            .tellsOldCommit,
            "tells a commit before the last one",
            "The next assignment tells what was committed last",
            "What was not committed comes again, and what was does not"
        ),
        Mistake(
            .takesLateCommit,
            "takes a commit after the close, and forgets it",
            "A session that is closed commits nothing"
        ),
        Mistake(
            .takesStrangeCommit,
            "takes a commit of another member's partition, and forgets it",
            "A partition that was released is nobody's to commit but its owner's"
        ),
        Mistake(
            .readsOther,
            "reads the record beside the one that is asked for",
            "A record is read again as it was delivered, by a later session too"
        ),
        Mistake(
            .readsPastEnd,
            "reads the last record for those that are not there yet",
            "A record that the log does not hold is read as none"
        ),
        Mistake(
            .forgetsTopicID,
            "takes a topic's name for its id",
            "A topic keeps its id, and one that is made anew has another"
        ),
        Mistake(.cutsMetadata, "cuts long metadata", "A commit keeps its metadata, up to 4,096 bytes"),
        Mistake(
            .countsTwice,
            "moves on when the same is committed twice",
            "To commit twice changes nothing"
        ),
        Mistake(.commitsFirst, "commits the first of several alone", several, noneOfSeveral),
        Mistake(
            .acceptsOldGeneration,
            "accepts an older generation's commit",
            "A commit of an older generation is refused and changes nothing",
            noneOfSeveral
        ),
        Mistake(.commitsPartly, "commits what it may of several", noneOfSeveral),
        Mistake(
            .startsOldGeneration,
            "starts under any generation",
            "A partition is not started under an older generation"
        ),
        Mistake(
            .tellsOldGeneration,
            "tells the same generation again",
            "Each assignment of a partition has a higher generation than the one before"
        ),
        Mistake(
            .releasesAtOnce,
            "gives a partition back as it is revoked",
            "A revoked partition is the next member's only once it was released",
            perhaps: sharing
        ),
        Mistake(.ownsTwice, "is given again what it has released", sharing),
    ]

    static let ofSinks = [
        Mistake(
            .failsOnNothing,
            "fails when there is nothing to send",
            "A batch of no messages is sent without a failure"
        ),
        Mistake(
            .confirmsEarly,
            "confirms before the messages can be read",
            "What a sink confirms another reader can read"
        ),
        Mistake(.reordersKey, "reorders a key", "A sink keeps the order of each key"),
        Mistake(.spreadsKey, "spreads a key", "All messages of a key go to one partition"),
        Mistake(.ignoresPartition, "chooses the partition itself", "A message goes to the partition that it names"),
        Mistake(.failsAll, "fails all messages with one", unknownTopic, behind, tooLarge),
        Mistake(.sendsBehind, "sends what is behind a message that failed", behind, tooLarge),
        Mistake(
            .renamesRepeat,
            "sends again under other ids",
            "What is sent again under the same ids arrives under them"
        ),
    ]

    /// Those that have a check wait until its time is up.
    static let thatHang = [
        Mistake(.sleepsOn, "is not woken by a message", "A message that arrives wakes the call that waits for it"),
        Mistake(
            .staysAfterClose,
            "stays a member when it is closed",
            "A member that leaves gives its partitions up to those who stay"
        ),
        Mistake(.sharesGroups, "takes all groups for one", "Each group is delivered all messages"),
    ]

    private static let order = "Messages are delivered once each, in the order of their offsets"
    private static let several = "Several partitions are committed at once"
    private static let noneOfSeveral = "Of several commits one of which is refused, none is made"
    private static let sharing = "Members share all partitions, and none is two members' at a time"
    private static let unknownTopic = "A message to a topic that does not exist fails, and no other"
    private static let behind = "With a message that fails, those of its topic and key behind it fail, and no others"
    private static let tooLarge = "A message that is too large fails, with those of its key behind it"
}
