#if RabbitMQ
    import LMDB
    import Ratchet

    /// The thread of one connection: it sleeps until the server or this process has something to say, and makes a lost
    /// connection again. It keeps the heartbeats, whatever handlers do.
    final class ConnectionThread<Role: ConnectionRole> {
        /// Frames that are taken before what was asked for has its turn.
        private static var framesPerTurn: Int { 4_096 }
        /// How long what comes next is left in the socket where the role has plenty to do, in milliseconds: each look at it
        /// costs as much as many messages. What was read before goes on after it.
        private static var pause: CInt { 1 }

        private enum Next {
            /// There is more to do at once.
            case turn
            /// There may be, and it can wait; what was asked for cannot.
            case pause
            /// There is nothing to do.
            case wait
        }

        private let role: Role
        private let wakeup: Wakeup
        private let address: RabbitMQAddress
        private let configuration: RabbitMQConfiguration
        private var wire: Wire?
        private var failures = 0
        private var retryAt = Int64.min

        private init(_ role: Role, _ wakeup: Wakeup, _ address: RabbitMQAddress, _ configuration: RabbitMQConfiguration)
        {
            self.role = role
            self.wakeup = wakeup
            self.address = address
            self.configuration = configuration
        }

        /// Starts a thread for a role that is made on it; it ends when the role says so.
        static func start(
            wakeup: Wakeup,
            address: RabbitMQAddress,
            configuration: RabbitMQConfiguration,
            _ makeRole: @escaping @Sendable () -> Role
        ) {
            Platform.startThread(name: "rabbitmq") {
                ConnectionThread(makeRole(), wakeup, address, configuration).run()
            }
        }

        private func run() {
            while !role.isOver {
                wakeup.clear()
                let next = turn()
                guard !role.isOver else { break }
                switch next {
                case .turn: continue
                case .pause: Descriptors.wait(for: wakeup.descriptor, nil, orRoom: false, atMost: Self.pause)
                case .wait: waitUntilDue()
                }
            }
            if let wire {
                role.sayGoodbye(wire)
                wire.close()
            }
            role.end()
        }

        private func turn() -> Next {
            do throws(RabbitMQError) {
                var now = configuration.time.monotonic()
                if wire == nil, role.wantsConnection, now >= retryAt {
                    wire = try Wire(address, configuration)
                    // That may have taken as long as an answer may.
                    now = configuration.time.monotonic()
                }
                wakeup.enter(wire?.descriptor)
                defer { wakeup.leave() }
                // Whoever asks for the end before this has not seen what it could interrupt.
                guard !role.isOver else { return .wait }
                let hasMore = try role.work(wire, at: now)
                guard let wire else { return hasMore ? .turn : .wait }
                let hasCome = try takeFrames(of: wire, at: now)
                if role.isEstablished { failures = 0 }
                if hasMore { return .turn }
                return hasCome ? (role.hasPlenty ? .pause : .turn) : .wait
            } catch {
                lose(error)
                return .wait
            }
        }

        /// Whether any have come: they may have made something due.
        private func takeFrames(of wire: Wire, at now: Int64) throws(RabbitMQError) -> Bool {
            for taken in 0..<Self.framesPerTurn {
                guard let frame = try wire.read() else { return taken > 0 }
                try role.take(frame, wire, at: now)
            }
            return true
        }

        private func lose(_ error: RabbitMQError) {
            // Not closed in good order: the other side may not listen.
            wire = nil
            failures += 1
            let delay = configuration.delay(after: failures)
            retryAt = configuration.time.monotonic() + delay
            role.disconnected(error, delay: delay)
        }

        private func waitUntilDue() {
            let now = configuration.time.monotonic()
            // Twice in each heartbeat's time the library looks after it.
            var until = now + (wire?.heartbeat ?? configuration.heartbeat).nanoseconds / 2
            if let deadline = role.deadline { until = min(until, deadline) }
            if wire == nil, role.wantsConnection { until = min(until, retryAt) }
            let milliseconds = (max(until, now) - now + 999_999) / 1_000_000
            Descriptors.wait(
                for: wakeup.descriptor,
                wire?.descriptor,
                orRoom: role.waitsForRoom,
                atMost: CInt(clamping: milliseconds)
            )
        }
    }
#endif
