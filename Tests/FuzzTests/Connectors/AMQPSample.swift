#if RabbitMQ
    import Seeds

    @testable import Ratchet

    /// Valid bytes of RabbitMQ's protocol, as a server writes them.
    enum AMQPSample {
        /// Of which each is one delivery's payload, in frames among others of the same channel.
        static func conversation(_ payloads: [[UInt8]], _ random: inout SeededRandom) -> [UInt8] {
            var bytes: [UInt8] = []
            for (index, payload) in payloads.enumerated() {
                while random.chance(40) { bytes += aside(&random) }
                bytes += delivery(UInt64(index + 1), &random) + header(payload.count, properties(&random))
                var rest = payload[...]
                while !rest.isEmpty {
                    let size = random.below(rest.count) + 1
                    bytes += frame(3, rest.prefix(size))
                    rest = rest.dropFirst(size)
                    if random.chance(10) { bytes += frame(8, [], channel: 0) }
                }
            }
            return bytes
        }

        private static func delivery(_ tag: UInt64, _ random: inout SeededRandom) -> [UInt8] {
            method(60, 60, short("ratchet") + big(tag) + [UInt8(random.below(2))] + short("") + short("orders"))
        }

        private static func header(_ size: Int, _ properties: [UInt8]) -> [UInt8] {
            frame(2, big(UInt16(60)) + big(UInt16(0)) + big(UInt64(size)) + properties)
        }

        /// What a server says beside deliveries.
        private static func aside(_ random: inout SeededRandom) -> [UInt8] {
            switch random.below(7) {
            case 0: method(60, 11, [])
            case 1: method(60, 80, big(random.next()) + [UInt8(random.below(2))])
            case 2: method(60, 120, big(random.next()) + [UInt8(random.below(4))])
            case 3: method(60, 50, big(UInt16(312)) + short("NO_ROUTE") + short("") + short("nowhere"))
            case 4: method(20, 40, big(UInt16(406)) + short("PRECONDITION_FAILED") + big(UInt32(0)))
            case 5: method(10, 60, short("low on memory"), channel: 0)
            default: method(60, 30, short("ratchet") + [1])
            }
        }

        static func properties(_ random: inout SeededRandom) -> [UInt8] {
            var flags = UInt16(0)
            var fields: [UInt8] = []
            func add(_ bit: Int, _ field: [UInt8]) {
                flags |= 1 << UInt16(bit)
                fields += field
            }
            for bit in stride(from: 15, through: 2, by: -1) where random.chance(40) {
                switch bit {
                case 13: add(bit, table(&random, 3))
                case 12, 11: add(bit, [UInt8(random.below(10))])
                case 6: add(bit, big(random.chance(80) ? 1_700_000_000 : random.next()))
                default: add(bit, short("p\(random.below(1_000))"))
                }
            }
            return big(flags) + fields
        }

        private static func table(_ random: inout SeededRandom, _ depth: Int) -> [UInt8] {
            let names = ["ratchet-key", "message-id", "x-delivery-count", "h", ""]
            return long((0..<random.below(4)).flatMap { _ in short(names[random.below(5)]) + value(&random, depth) })
        }

        private static func value(_ random: inout SeededRandom, _ depth: Int) -> [UInt8] {
            let widths: [(kind: Character, width: Int)] = [
                ("t", 1), ("b", 1), ("B", 1), ("s", 2), ("u", 2), ("I", 4), ("i", 4), ("l", 8), ("L", 8), ("f", 4),
                ("d", 8),
                ("D", 5), ("T", 8), ("V", 0),
            ]
            switch random.below(depth > 0 ? 5 : 3) {
            case 0: return [UInt8(ascii: "S")] + long(random.chance(80) ? Array("ключ".utf8) : random.bytes(9))
            case 1: return [UInt8(ascii: "x")] + long(random.bytes(random.below(9)))
            case 2:
                let (kind, width) = widths[random.below(widths.count)]
                return Array("\(kind)".utf8) + random.bytes(width)
            case 3: return [UInt8(ascii: "F")] + table(&random, depth - 1)
            default:
                return [UInt8(ascii: "A")] + long((0..<random.below(4)).flatMap { _ in value(&random, depth - 1) })
            }
        }

        // MARK: Pieces

        private static func method(_ group: UInt16, _ id: UInt16, _ fields: [UInt8], channel: UInt16 = 1) -> [UInt8] {
            frame(1, big(group) + big(id) + fields, channel: channel)
        }

        private static func frame(_ kind: UInt8, _ payload: some Collection<UInt8>, channel: UInt16 = 1) -> [UInt8] {
            [kind] + big(channel) + big(UInt32(payload.count)) + payload + [0xCE]
        }

        private static func short(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + text.utf8 }

        private static func long(_ bytes: [UInt8]) -> [UInt8] { big(UInt32(bytes.count)) + bytes }

        private static func big(_ value: some FixedWidthInteger) -> [UInt8] {
            withUnsafeBytes(of: value.bigEndian) { Array($0) }
        }

        /// Properties with a header of arrays within arrays.
        static func nested(_ depth: Int) -> [UInt8] {
            // The outermost first, whose length is all that follows.
            var array: [UInt8] = []
            for level in 0..<depth { array += [UInt8(ascii: "A")] + big(UInt32((depth - level - 1) * 5)) }
            return big(UInt16(1 << 13)) + long(short("deep") + array)
        }
    }
#endif
