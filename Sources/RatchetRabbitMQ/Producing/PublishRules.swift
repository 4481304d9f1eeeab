#if RabbitMQ
    import Ratchet

    /// What can be published, and where it goes. Pure.
    enum PublishRules {
        /// Headers and key go in one frame.
        static let largestHeaders = 120_000

        /// Names each message that cannot be published.
        static func check(_ batch: OutgoingBatch, refuse: (Int, MessageError) -> Void) {
            batch.bytes.withUnsafeBytes { bytes in
                for (index, entry) in batch.entries.enumerated() {
                    let parts = batch.parts(of: entry, in: bytes)
                    if let fault = fault(of: entry, parts, topic: batch.topics[Int(entry.topic)], bytes) {
                        refuse(index, fault)
                    }
                }
            }
        }

        private static func fault(
            of entry: OutgoingBatch.Entry,
            _ parts: RecordLayout.Parts,
            topic: String,
            _ bytes: UnsafeRawBufferPointer
        ) -> MessageError? {
            guard topic.utf8.count <= 255 else {
                return MessageError(.unknownTopic, "a queue's name has 255 bytes at the most, not \(topic.utf8.count)")
            }
            guard entry.partition <= 0 else {
                return MessageError(.unknownPartition, "\(topic)/\(entry.partition): a queue has no partitions")
            }
            let size = parts.headers.count + (parts.key?.count ?? 0)
            guard size <= largestHeaders else {
                return MessageError(.tooLarge, "\(size) bytes of headers and key, at most \(largestHeaders)")
            }
            var fault: MessageError?
            RecordLayout.forEachHeader(in: UnsafeRawBufferPointer(rebasing: bytes[parts.headers])) { name, _ in
                if name.count > 255 {
                    fault = MessageError(.invalidHeader, "a name of \(name.count) bytes, at most 255")
                } else if MessageProperties.isTaken(name) {
                    fault = MessageError(.invalidHeader, "'\(String(decoding: name, as: UTF8.self))' is taken")
                }
                return fault == nil
            }
            return fault
        }

        static func route(
            of entry: OutgoingBatch.Entry,
            _ parts: RecordLayout.Parts,
            in batch: OutgoingBatch,
            _ bytes: UnsafeRawBufferPointer,
            _ settings: RabbitMQSinkSettings
        ) -> Route {
            switch settings.routing {
            case .queue: Route(exchange: "", routingKey: batch.topics[Int(entry.topic)])
            case .exchange(let name): Route(exchange: name, routingKey: batch.topics[Int(entry.topic)])
            case .exchangeByKey(let name):
                Route(
                    exchange: name,
                    routingKey: parts.key.map { shortened(bytes[$0]) } ?? ""
                )
            }
        }

        /// A routing key has 255 bytes at the most.
        private static func shortened(_ key: Slice<UnsafeRawBufferPointer>) -> String {
            // So many bytes more than fit that a character which this cuts does not fit anyway.
            let text = String(decoding: key.prefix(258), as: UTF8.self)
            guard text.utf8.count > 255 else { return text }
            var end = text.utf8.index(text.startIndex, offsetBy: 255)
            while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
            return String(text[..<end])
        }

        /// The id that a message is published under as a property; nil for none.
        static func messageID(_ parts: RecordLayout.Parts, _ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
            var id: [UInt8]?
            RecordLayout.forEachHeader(in: UnsafeRawBufferPointer(rebasing: bytes[parts.headers])) { name, value in
                guard name.elementsEqual(Header.messageIDName.utf8), isProperty(value) else { return true }
                id = Array(value)
                return false
            }
            return id
        }

        /// Whether an id fits a property of the protocol.
        static func isProperty(_ value: UnsafeRawBufferPointer) -> Bool {
            (1...255).contains(value.count) && isText(value)
        }

        /// Whether bytes go as text, which every client understands.
        static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
            bytes.allSatisfy { $0 < 0x80 && $0 != 0 }
                || String(validating: bytes, as: UTF8.self)?.contains("\0") == false
        }
    }
#endif
