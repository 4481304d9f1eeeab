import Testing

@testable import RatchetBroker

@Suite("Replication's controller")
struct ControllerTests {
    private static let uid: UInt32 = 3

    /// Three nodes that are up, in their first lives, and one partition on all of them.
    private static func controller(minimum: Int = 2, allowsUnclean: Bool = false) -> Controller {
        var controller = Controller(disks: [nil, nil, nil])
        for node in 0..<3 { _ = controller.handle(.up(node, disk: UInt64(node), isIntact: true)) }
        let leadership = Leadership(replicas: [0, 1, 2], minimum: minimum, allowsUnclean: allowsUnclean)
        _ = controller.handle(.created(uid, leadership))
        return controller
    }

    private static func leadership(_ controller: Controller) throws -> Leadership { try #require(controller[uid]) }

    private static func change(
        _ leadership: Leadership,
        to members: [Int],
        adding: [InSyncChange.Addition] = []
    ) throws -> Controller.Event {
        .change(
            uid,
            InSyncChange(
                number: 1,
                leader: try #require(leadership.leader),
                epoch: leadership.epoch,
                version: leadership.version,
                members: members,
                additions: adding
            )
        )
    }

    @Test("A dead leader is followed by an in-sync replica, under a new epoch")
    func elects() throws {
        var controller = Self.controller()
        _ = controller.handle(.down(0, life: 1))
        let leadership = try Self.leadership(controller)
        #expect(leadership.leader == 1)
        #expect(leadership.epoch == 2)
        #expect(leadership.inSync == [1, 2])
    }

    @Test("What is decided is written before it is told")
    func persistsFirst() {
        var controller = Self.controller()
        let actions = controller.handle(.down(0, life: 1))
        guard case .persist = actions.first else {
            Issue.record("first comes \(actions)")
            return
        }
        #expect(actions.count == 3)
    }

    @Test("No replica from outside of the in-sync set leads, unless it is allowed", arguments: [false, true])
    func outside(allowsUnclean: Bool) throws {
        var controller = Self.controller(minimum: 1, allowsUnclean: allowsUnclean)
        let before = try Self.leadership(controller)
        _ = controller.handle(try Self.change(before, to: [0]))
        _ = controller.handle(.down(0, life: 1))
        let leadership = try Self.leadership(controller)
        #expect(leadership.leader == (allowsUnclean ? 1 : nil))
        #expect(leadership.inSync == (allowsUnclean ? [1] : [0]))
    }

    @Test("A replica that left when too few stayed still leads when no other can")
    func eligible() throws {
        var controller = Self.controller()
        _ = controller.handle(.down(1, life: 1))
        _ = controller.handle(.down(2, life: 1))
        #expect(try Self.leadership(controller).eligible == [2])
        _ = controller.handle(.up(1, disk: 1, isIntact: true))
        _ = controller.handle(.down(0, life: 1))
        #expect(try Self.leadership(controller).leader == nil, "1 left when enough stayed")
        _ = controller.handle(.up(2, disk: 2, isIntact: true))
        #expect(try Self.leadership(controller).leader == 2)
    }

    @Test("A node with another disk, or one that may have lost what it confirmed, leads nothing on its strength")
    func losses() throws {
        for event in [Controller.Event.up(0, disk: 99, isIntact: true), .up(0, disk: 0, isIntact: false)] {
            var controller = Self.controller(minimum: 1)
            let before = try Self.leadership(controller)
            _ = controller.handle(try Self.change(before, to: [0]))
            _ = controller.handle(event)
            let leadership = try Self.leadership(controller)
            #expect(leadership.leader == nil)
            #expect(leadership.inSync == [])
        }
    }

    @Test("Once all nodes have had their turn, one that has not come is not waited for, unless nobody leads without it")
    func missingAtTheOpening() throws {
        let before = try Self.leadership(Self.controller())
        var controller = Controller(disks: [0, 1, 2], partitions: [(Self.uid, before)], isOpening: true)
        for node in [0, 2] { _ = controller.handle(.up(node, disk: UInt64(node), isIntact: true)) }
        #expect(try Self.leadership(controller).inSync == [0, 1, 2])
        #expect(!controller.handle(.opened).isEmpty)
        #expect(try Self.leadership(controller).inSync == [0, 2])
        var other = Controller(disks: [0, 1, 2], partitions: [(Self.uid, before)], isOpening: true)
        _ = other.handle(.opened)
        #expect(try Self.leadership(other).inSync == [0, 1, 2])
    }

    /// A partition whose in-sync set is 0 alone, and then nobody: 0 has lost its disk.
    private static func wiped() throws -> Controller {
        var controller = Self.controller(minimum: 1, allowsUnclean: true)
        _ = controller.handle(try Self.change(try Self.leadership(controller), to: [0]))
        for node in [1, 2, 0] { _ = controller.handle(.down(node, life: 1)) }
        _ = controller.handle(.up(0, disk: 99, isIntact: true))
        return controller
    }

    @Test("A replica that has lost its disk leads in no unclean election as long as another one has something")
    func wipedDoesNotLead() throws {
        var controller = try Self.wiped()
        #expect(try Self.leadership(controller).leader == nil, "the disks of 1 and 2 are only not there yet")
        _ = controller.handle(.up(2, disk: 2, isIntact: true))
        #expect(try Self.leadership(controller).leader == 2)
        #expect(try Self.leadership(controller).wiped == [0])
        _ = controller.handle(.down(2, life: 2))
        #expect(try Self.leadership(controller).leader == nil)
    }

    @Test("That a disk was lost is known after a restart, and until its replica is in sync again")
    func wipedIsRemembered() throws {
        let stored = try Self.leadership(Self.wiped())
        let read = try stored.encoded.withUnsafeBytes { try Leadership($0, "l") }
        #expect(read == stored)
        var controller = Controller(disks: [99, 1, 2], partitions: [(Self.uid, read)])
        _ = controller.handle(.up(0, disk: 99, isIntact: true))
        #expect(try Self.leadership(controller).leader == nil)
        _ = controller.handle(.up(1, disk: 1, isIntact: true))
        let before = try Self.leadership(controller)
        #expect(before.leader == 1)
        _ = controller.handle(try Self.change(before, to: [0, 1], adding: [.init(node: 0, life: 1)]))
        _ = controller.handle(.down(1, life: 1))
        #expect(try Self.leadership(controller).leader == 0)
    }

    @Test("Where all replicas have lost their disks, an unclean election finds one all the same")
    func allWiped() throws {
        var controller = try Self.wiped()
        _ = controller.handle(.up(1, disk: 98, isIntact: true))
        #expect(try Self.leadership(controller).leader == nil)
        _ = controller.handle(.up(2, disk: 97, isIntact: true))
        #expect(try Self.leadership(controller).leader != nil)
    }

    @Test("A replica that began another life meanwhile does not come into the in-sync set")
    func lives() throws {
        var controller = Self.controller()
        _ = controller.handle(.down(2, life: 1))
        _ = controller.handle(.up(2, disk: 99, isIntact: true))
        let before = try Self.leadership(controller)
        let old = try Self.change(before, to: [0, 1, 2], adding: [.init(node: 2, life: 1)])
        #expect(controller.handle(old) == [.refuse(0, Self.uid, number: 1)])
        let new = try Self.change(before, to: [0, 1, 2], adding: [.init(node: 2, life: 2)])
        #expect(!controller.handle(new).isEmpty)
        #expect(try Self.leadership(controller).inSync == [0, 1, 2])
    }

    @Test("A replica that is down does not keep another one out of the in-sync set")
    func downAndUp() throws {
        var controller = Self.controller()
        for node in 1...2 { _ = controller.handle(.down(node, life: 1)) }
        _ = controller.handle(.up(1, disk: 1, isIntact: true))
        let before = try Self.leadership(controller)
        let additions = [InSyncChange.Addition(node: 1, life: 2), .init(node: 2, life: 1)]
        _ = controller.handle(try Self.change(before, to: [0, 1, 2], adding: additions))
        #expect(try Self.leadership(controller).inSync == [0, 1])
    }

    @Test("A change that rests on an earlier decision changes nothing and is told the latest")
    func outdated() throws {
        var controller = Self.controller()
        let before = try Self.leadership(controller)
        _ = controller.handle(try Self.change(before, to: [0, 1]))
        let latest = try Self.leadership(controller)
        #expect(controller.handle(try Self.change(before, to: [0])) == [.tell(0, life: 1, Self.uid, latest)])
        #expect(try Self.leadership(controller) == latest)
    }

    @Test("The end of an earlier life is no news")
    func oldLife() throws {
        var controller = Self.controller()
        _ = controller.handle(.up(0, disk: 0, isIntact: true))
        let before = try Self.leadership(controller)
        #expect(controller.handle(.down(0, life: 1)).isEmpty)
        #expect(try Self.leadership(controller) == before)
    }

    @Test("After a restart nobody goes on leading under an old epoch")
    func restarts() throws {
        let before = try Self.leadership(Self.controller())
        var controller = Controller(disks: [0, 1, 2], partitions: [(Self.uid, before)])
        #expect(try Self.leadership(controller).leader == nil)
        _ = controller.handle(.up(0, disk: 0, isIntact: true))
        let leadership = try Self.leadership(controller)
        #expect(leadership.leader == 0)
        #expect(leadership.epoch == before.epoch + 1)
        #expect(leadership.inSync == [0, 1, 2])
    }
}
