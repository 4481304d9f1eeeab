#if RabbitMQ
    import CRabbitMQ

    /// A table of the protocol, built up in Swift: names and values, in order.
    struct FieldTable {
        /// A value of one of the kinds that are sent.
        enum Value: Sendable, Hashable {
            case text(String)
            case number(Int64)
            case flag(Bool)
        }

        private var entries: [(name: String, value: Value)] = []
        private var flags: [(name: String, names: [String])] = []

        mutating func append(_ name: String, text: String) { entries.append((name, .text(text))) }
        mutating func append(_ name: String, _ value: Value) { entries.append((name, value)) }
        /// A table within it, whose values are all true.
        mutating func append(_ name: String, flags names: [String]) { flags.append((name, names)) }

        /// Calls `body` with the table as the library takes it; valid within the call only.
        func withTable<R>(_ body: (amqp_table_t) -> R) -> R {
            // The library's own pool: freed at once when the call is over.
            var pool = amqp_pool_t()
            init_amqp_pool(&pool, 4_096)
            defer { empty_amqp_pool(&pool) }
            var all = entries.map { Self.entry($0.name, $0.value, in: &pool) }
            for (name, names) in flags {
                let inner = names.map { Self.entry($0, .flag(true), in: &pool) }
                var entry = amqp_table_entry_t()
                entry.key = Self.copy(name, in: &pool)
                entry.value.kind = UInt8(AMQP_FIELD_KIND_TABLE.rawValue)
                entry.value.value.table = Self.table(inner, in: &pool)
                all.append(entry)
            }
            return body(Self.table(all, in: &pool))
        }

        private static func entry(_ name: String, _ value: Value, in pool: inout amqp_pool_t) -> amqp_table_entry_t {
            var entry = amqp_table_entry_t()
            entry.key = copy(name, in: &pool)
            switch value {
            case .text(let text):
                entry.value.kind = UInt8(AMQP_FIELD_KIND_UTF8.rawValue)
                entry.value.value.bytes = copy(text, in: &pool)
            case .number(let number):
                entry.value.kind = UInt8(AMQP_FIELD_KIND_I64.rawValue)
                entry.value.value.i64 = number
            case .flag(let flag):
                entry.value.kind = UInt8(AMQP_FIELD_KIND_BOOLEAN.rawValue)
                entry.value.value.boolean = flag ? 1 : 0
            }
            return entry
        }

        private static func table(_ entries: [amqp_table_entry_t], in pool: inout amqp_pool_t) -> amqp_table_t {
            guard !entries.isEmpty else { return amqp_table_t() }
            let size = entries.count * MemoryLayout<amqp_table_entry_t>.stride
            let place = amqp_pool_alloc(&pool, size)!.bindMemory(to: amqp_table_entry_t.self, capacity: entries.count)
            place.initialize(from: entries, count: entries.count)
            return amqp_table_t(num_entries: CInt(entries.count), entries: place)
        }

        private static func copy(_ text: String, in pool: inout amqp_pool_t) -> amqp_bytes_t {
            let utf8 = Array(text.utf8)
            let place = amqp_pool_alloc(&pool, max(1, utf8.count))!
            utf8.withUnsafeBytes { bytes in
                if let start = bytes.baseAddress { place.copyMemory(from: start, byteCount: bytes.count) }
            }
            return amqp_bytes_t(len: utf8.count, bytes: place)
        }
    }
#endif
