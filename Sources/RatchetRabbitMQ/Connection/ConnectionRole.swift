#if RabbitMQ
    /// What a connection is for. Everything is called on the connection's thread.
    protocol ConnectionRole: AnyObject, SendableMetatype {
        /// Whether a connection is to be made when there is none.
        var wantsConnection: Bool { get }
        /// Whether there is nothing more to do: the connection is closed and the thread ends.
        var isOver: Bool { get }
        /// When ``work(_:at:)`` has to be called next though nothing comes, in nanoseconds of the monotonic clock.
        var deadline: Int64? { get }
        /// Whether the socket was too full for what is to be written.
        var waitsForRoom: Bool { get }
        /// Whether what has come is enough to do for a while: what comes next need not be taken at once.
        var hasPlenty: Bool { get }
        /// Whether the connection has come to what it is for: the next failure is a first one again.
        var isEstablished: Bool { get }

        /// Takes a frame of the connection.
        func take(_ frame: Frame, _ wire: Wire, at now: Int64) throws(RabbitMQError)
        /// Does what is due and what was asked for; nil while there is no connection. Returns whether there is more to do
        /// at once.
        func work(_ wire: Wire?, at now: Int64) throws(RabbitMQError) -> Bool
        /// The connection was lost, or could not be made; it is tried again after the delay.
        func disconnected(_ error: RabbitMQError, delay: Int64)
        /// Before the connection is closed in good order.
        func sayGoodbye(_ wire: Wire)
        /// The thread ends.
        func end()
    }
#endif
