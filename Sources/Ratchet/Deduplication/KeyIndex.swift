/// The live index of the deduplication journal: which commits may hold a key of this fingerprint.
///
/// A multimap from fingerprint to journal sequence in slots of 8 bytes (32 bits of tag, 32 of sequence), spread over
/// many small open-addressing segments that grow one at a time: 10 to 20 bytes a key, and no pause where one doubling
/// table would stop for 100 ms. Only a candidate comes out of it; the journal decides. Sequences are told apart modulo
/// 2³², far more than a window holds.
package struct KeyIndex: ~Copyable {
    private struct Segment {
        var slots: UnsafeMutablePointer<UInt64>
        var mask: UInt32
        var count: UInt32
    }

    private static let segmentBits: UInt64 = 10
    private static let initialCapacity = 8

    private let segments: UnsafeMutablePointer<Segment>
    /// How many keys it holds.
    package private(set) var count = 0
    /// The memory it takes, in bytes.
    package private(set) var byteCount = 0

    package init() {
        let count = 1 << Int(Self.segmentBits)
        segments = .allocate(capacity: count)
        for index in 0..<count {
            let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.initialCapacity)
            slots.initialize(repeating: 0, count: Self.initialCapacity)
            (segments + index).initialize(to: Segment(slots: slots, mask: UInt32(Self.initialCapacity - 1), count: 0))
        }
        byteCount = count * (Self.initialCapacity * 8 + MemoryLayout<Segment>.stride)
    }

    deinit {
        for index in 0..<(1 << Int(Self.segmentBits)) { segments[index].slots.deallocate() }
        segments.deallocate()
    }

    @inline(__always)
    private func segment(of fingerprint: UInt64) -> UnsafeMutablePointer<Segment> {
        segments + Int(fingerprint & ((1 << Self.segmentBits) - 1))
    }

    // The tag places the entry too, so that deleting and growing need no more than the slot. Never 0: that is an empty
    // slot.
    @inline(__always)
    private func tag(of fingerprint: UInt64) -> UInt32 {
        let tag = UInt32(truncatingIfNeeded: fingerprint &>> Self.segmentBits)
        return tag == 0 ? 1 : tag
    }

    /// Adds a key of the journal entry `sequence`.
    package mutating func insert(_ fingerprint: UInt64, sequence: UInt64) {
        let segment = segment(of: fingerprint)
        if (Int(segment.pointee.count) + 1) * 5 > (Int(segment.pointee.mask) + 1) * 4 { grow(segment) }
        let tag = tag(of: fingerprint)
        Self.place(UInt64(tag) &<< 32 | UInt64(UInt32(truncatingIfNeeded: sequence)), at: tag, in: segment.pointee)
        segment.pointee.count &+= 1
        count &+= 1
    }

    @inline(__always)
    private static func place(_ slot: UInt64, at tag: UInt32, in segment: Segment) {
        var at = tag & segment.mask
        while segment.slots[Int(at)] != 0 { at = (at &+ 1) & segment.mask }
        segment.slots[Int(at)] = slot
    }

    /// Calls `body` with the low 32 bits of each sequence that may hold the fingerprint, until it returns true.
    @inline(__always)
    package func contains(_ fingerprint: UInt64, where body: (UInt32) throws -> Bool) rethrows -> Bool {
        let segment = segment(of: fingerprint).pointee
        let tag = tag(of: fingerprint)
        var at = tag & segment.mask
        while true {
            let slot = segment.slots[Int(at)]
            if slot == 0 { return false }
            if UInt32(truncatingIfNeeded: slot &>> 32) == tag, try body(UInt32(truncatingIfNeeded: slot)) {
                return true
            }
            at = (at &+ 1) & segment.mask
        }
    }

    /// Removes one key of the journal entry `sequence`; false if there is none.
    @discardableResult
    package mutating func remove(_ fingerprint: UInt64, sequence: UInt64) -> Bool {
        let segment = segment(of: fingerprint)
        let mask = segment.pointee.mask
        let slots = segment.pointee.slots
        let tag = tag(of: fingerprint)
        let wanted = UInt64(tag) &<< 32 | UInt64(UInt32(truncatingIfNeeded: sequence))
        var at = tag & mask
        while slots[Int(at)] != wanted {
            if slots[Int(at)] == 0 { return false }
            at = (at &+ 1) & mask
        }
        // Close the gap: an entry may move back as long as it does not pass its own place (Knuth, 6.4, algorithm R).
        var hole = at
        while true {
            at = (at &+ 1) & mask
            let slot = slots[Int(at)]
            if slot == 0 { break }
            let home = UInt32(truncatingIfNeeded: slot &>> 32) & mask
            if (at &- home) & mask >= (at &- hole) & mask {
                slots[Int(hole)] = slot
                hole = at
            }
        }
        slots[Int(hole)] = 0
        segment.pointee.count &-= 1
        count &-= 1
        return true
    }

    private mutating func grow(_ segment: UnsafeMutablePointer<Segment>) {
        let old = segment.pointee
        let capacity = (Int(old.mask) + 1) * 2
        let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: capacity)
        slots.initialize(repeating: 0, count: capacity)
        segment.pointee.slots = slots
        segment.pointee.mask = UInt32(capacity - 1)
        for index in 0...Int(old.mask) where old.slots[index] != 0 {
            Self.place(old.slots[index], at: UInt32(truncatingIfNeeded: old.slots[index] &>> 32), in: segment.pointee)
        }
        old.slots.deallocate()
        byteCount += capacity / 2 * 8
    }
}
