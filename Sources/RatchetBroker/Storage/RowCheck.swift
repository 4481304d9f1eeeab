import LMDB

/// Looks at every row but the messages before any of them is believed: one whose key has changed would only be missed.
enum RowCheck {
    /// Throws ``BrokerError/Code/corrupted`` for the first row that is not what was written.
    static func run(_ environment: Environment, _ tables: Tables) throws {
        try environment.read { transaction in
            let sealed = [
                ("topic", tables.topics), ("partition", tables.partitions), ("committed offset", tables.offsets),
                ("group", tables.groups), ("shared group", tables.shared), ("deleted partition", tables.garbage),
                ("transient chunk", tables.transients),
                ("producer", tables.producers), ("producer's sequence", tables.sequences),
                ("replica", tables.replication), ("decided message", tables.redo),
            ]
            for (kind, table) in sealed {
                try transaction.forEachRow(of: table) { row in
                    _ = try SealedRow.value(of: row.value, for: row.key, "a \(kind)'s row in \(environment.path)")
                }
            }
            try transaction.forEachRow(of: tables.meta) { row in
                let name = String(decoding: row.key, as: UTF8.self)
                if name == "kind" || name == "format" { return }
                let known = [
                    "id", SealedRow.nextUID, SealedRow.nextProducer, SealedRow.nextDecision, SealedRow.producerTime,
                ]
                guard known.contains(name) else {
                    throw BrokerError(.corrupted, "\(environment.path) has a row '\(name)'; restore it from a copy")
                }
                _ = try SealedRow.value(of: row.value, for: row.key, "the row '\(name)' of \(environment.path)")
            }
        }
    }
}
