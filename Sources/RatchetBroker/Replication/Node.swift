import Ratchet

extension Broker {
    /// A node of a broker with ``Configuration/nodes`` of them, to be ended, cut off, slowed and brought back: for
    /// experiments and tests.
    ///
    /// A node writes and syncs before it counts as having a message, so a kill loses only what nobody was promised.
    public struct Node: Sendable {
        /// Its number, from 0.
        public let number: Int
        let cluster: Cluster

        /// Whether it runs: it may be cut off all the same.
        public var isRunning: Bool { cluster.nodes[number].isRunning }
        /// Whether nothing reaches it.
        public var isCutOff: Bool { cluster.nodes[number].isCutOff }

        /// Ends the node as a crash does: what it has not written is lost, with sends that were told nothing yet or
        /// wanted no answer. Others take over what it leads. Returns once its files are closed; nothing when it does not
        /// run.
        public func kill() async { await cluster.stop(number, isCrash: true) }

        /// Ends the node once it has written what it was handed. Others take over what it leads.
        public func stop() async { await cluster.stop(number, isCrash: false) }

        /// Starts the node again: it follows, and comes back into the in-sync sets once it has caught up. Nothing when
        /// it runs. Throws ``BrokerError``: `corrupted`, `storage`, when its files cannot be opened.
        public func start() async throws { try await cluster.start(number) }

        /// Cuts the node off from the others, the controller and all clients. Others take over what it leads.
        public func cutOff() { cluster.setCutOff(number, true) }

        /// Ends what ``cutOff()`` has begun: the node follows, and what only it has is cut off its logs.
        public func reconnect() { cluster.setCutOff(number, false) }

        /// Lets the node's followers write only so long after they were told, nil for at once again. They write at the
        /// ticks of ``Broker/run()``.
        public func slowDown(by delay: Duration?) {
            cluster.nodes[number].setDelay(delay)
            cluster.nodes[number].tick(cluster)
        }

        /// Kills the node if it runs, and removes its files, as the loss of its disk does. Once started it has nothing,
        /// and counts as having nothing.
        public func wipe() async throws { try await cluster.wipe(number) }
    }

    /// The nodes, by number; empty for a broker of one, whose logs lie in its own file.
    public var nodes: [Node] {
        guard let cluster else { return [] }
        return cluster.nodes.map { Node(number: $0.number, cluster: cluster) }
    }
}
