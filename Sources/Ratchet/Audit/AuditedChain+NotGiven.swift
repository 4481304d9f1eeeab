/// What a connector's audit says of the parts that it was told nothing of, and that no server knows.
extension AuditedChain.Producer {
    package static var notGiven: Self {
        let why = "no producer's settings were given"
        return Self(acks: .unreadable(why), isIdempotent: .unreadable(why), deliveryTimeout: .unreadable(why))
    }
}

extension AuditedChain.Consumer {
    package static var notGiven: Self {
        let why = "no consumer's settings were given"
        return Self(
            settlesAfterProcessing: .unreadable(why),
            hasKeys: .unreadable(why),
            hasPositions: .unreadable(why),
            ledgersPerKey: .unreadable(why)
        )
    }
}
