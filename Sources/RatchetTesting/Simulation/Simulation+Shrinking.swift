extension Simulation {
    /// The same run with as few of its faults as still make it fail; itself if it does not. `run` runs one.
    ///
    /// Faults are taken away by halves, quarters and so on, as delta debugging does (Zeller and Hildebrandt).
    public func shrunk(_ run: (Simulation) -> Outcome) -> Simulation { shrunk { !run($0).isSound } }

    /// The same, with another word for a run that fails.
    func shrunk(whileFailing fails: (Simulation) -> Bool) -> Simulation {
        var smallest = self
        if !fails(smallest) { return smallest }
        var size = max(1, smallest.faults.count / 2)
        while !smallest.faults.isEmpty {
            var start = 0
            var hasShrunk = false
            while start < smallest.faults.count {
                var smaller = smallest
                smaller.faults.removeSubrange(start..<min(start + size, smallest.faults.count))
                if fails(smaller) {
                    smallest = smaller
                    hasShrunk = true
                } else {
                    start += size
                }
            }
            if size == 1, !hasShrunk { break }
            size = max(1, size / 2)
        }
        return smallest
    }
}
