#if Kafka
    internal import CRdkafka

    /// Who hears what a client has to tell. Everything but ``log(_:_:_:)``, which may come from any thread, is called
    /// where the client's queues are served.
    protocol ClientListener: AnyObject, Sendable {
        func log(_ level: Int32, _ facility: String, _ text: String)
        func failed(_ code: rd_kafka_resp_err_t, _ reason: String)
        func measured(_ statistics: UnsafeRawBufferPointer)
        func rebalanced(_ code: rd_kafka_resp_err_t, _ partitions: PartitionList)
        func committed(_ number: UInt, _ code: rd_kafka_resp_err_t, _ partitions: PartitionList)
        func delivered(_ message: UnsafePointer<rd_kafka_message_t>)
    }

    extension ClientListener {
        func measured(_ statistics: UnsafeRawBufferPointer) {}
        func rebalanced(_ code: rd_kafka_resp_err_t, _ partitions: PartitionList) {}
        func committed(_ number: UInt, _ code: rd_kafka_resp_err_t, _ partitions: PartitionList) {}
        func delivered(_ message: UnsafePointer<rd_kafka_message_t>) {}
    }

    /// A client of librdkafka, which ends with ``destroy()`` and not before. All of librdkafka's calls may be made from
    /// any thread.
    final class Client: @unchecked Sendable {
        /// What callbacks find the listener by: it may be gone while the client is still being destroyed.
        private final class Ear {
            weak let listener: (any ClientListener)?
            let redact: Redaction

            init(_ listener: any ClientListener, _ redact: Redaction) {
                self.listener = listener
                self.redact = redact
            }
        }

        let handle: OpaquePointer
        private let ear: Unmanaged<Ear>
        private let redact: Redaction

        /// Throws ``KafkaError`` with `invalidArgument` for settings that librdkafka does not know or take.
        init(_ kind: rd_kafka_type_t, _ settings: ClientSettings, _ listener: any ClientListener) throws(KafkaError) {
            redact = settings.redact
            guard let conf = rd_kafka_conf_new() else { preconditionFailure("librdkafka has no memory left") }
            var text = [CChar](repeating: 0, count: 512)
            for (name, value) in settings.all.sorted
            where rd_kafka_conf_set(conf, name, value, &text, text.count) != RD_KAFKA_CONF_OK {
                rd_kafka_conf_destroy(conf)
                throw KafkaError(.invalidArgument, settings.redact(Self.string(text)))
            }
            ear = Unmanaged.passRetained(Ear(listener, settings.redact))
            rd_kafka_conf_set_opaque(conf, ear.toOpaque())
            Self.setCallbacks(conf, kind)
            guard let handle = rd_kafka_new(kind, conf, &text, text.count) else {
                rd_kafka_conf_destroy(conf)
                ear.release()
                throw KafkaError(.invalidArgument, settings.redact(Self.string(text)))
            }
            self.handle = handle
        }

        /// Ends the client; blocks until its threads have ended. A consumer must have been closed before.
        func destroy() {
            rd_kafka_destroy_flags(handle, Int32(RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE))
            ear.release()
        }

        /// Whether a group's member that was never told its partitions must not be destroyed now: librdkafka before 2.3.0
        /// aborts the process where a member of a cooperative group has joined and has not heard of its first assignment
        /// (its change #4381). It is left as it is then, closed, with its threads and their memory.
        var isMidJoin: Bool {
            guard rd_kafka_version() < 0x0203_0000, let id = rd_kafka_memberid(handle) else { return false }
            defer { rd_kafka_mem_free(handle, id) }
            return id.pointee != 0
        }

        /// Why the client can do nothing more, nil while it can.
        var fatalError: KafkaError? {
            var text = [CChar](repeating: 0, count: 512)
            let code = rd_kafka_fatal_error(handle, &text, text.count)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
            return KafkaError(.init(code), redact(Self.string(text)), isFatal: true)
        }

        /// The value of a setting, whoever has set it.
        func setting(_ name: String) -> String? {
            var text = [CChar](repeating: 0, count: 512)
            var size = text.count
            guard rd_kafka_conf_get(rd_kafka_conf(handle), name, &text, &size) == RD_KAFKA_CONF_OK else { return nil }
            return Self.string(text)
        }

        /// Commits offsets; the listener is told how it went, under this number, where `queue` is served. Returns why it
        /// was not even begun.
        func commit(_ list: PartitionList, number: UInt, answeringBy queue: OpaquePointer) -> KafkaError? {
            let code = list.withList { list in
                rd_kafka_commit_queue(
                    handle,
                    list,
                    queue,
                    { handle, code, list, number in
                        guard let handle, let ear = Client.ear(rd_kafka_opaque(handle)) else { return }
                        let partitions =
                            list.map { PartitionList(reading: $0) } ?? PartitionList([PartitionList.Entry]())
                        ear.listener?.committed(UInt(bitPattern: number), code, partitions)
                    },
                    UnsafeMutableRawPointer(bitPattern: number)
                )
            }
            return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(code, "committing offsets")
        }

        private static func string(_ text: [CChar]) -> String {
            String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        private static func setCallbacks(_ conf: OpaquePointer, _ kind: rd_kafka_type_t) {
            rd_kafka_conf_set_log_cb(conf) { handle, level, facility, text in
                guard let handle, let ear = Client.ear(rd_kafka_opaque(handle)), let facility, let text else { return }
                ear.listener?.log(level, String(cString: facility), ear.redact(String(cString: text)))
            }
            rd_kafka_conf_set_error_cb(conf) { _, code, reason, opaque in
                guard let ear = Client.ear(opaque), let reason else { return }
                ear.listener?.failed(rd_kafka_resp_err_t(code), ear.redact(String(cString: reason)))
            }
            if kind == RD_KAFKA_PRODUCER {
                rd_kafka_conf_set_dr_msg_cb(conf) { _, message, opaque in
                    guard let message else { return }
                    Client.ear(opaque)?.listener?.delivered(message)
                }
                return
            }
            rd_kafka_conf_set_stats_cb(conf) { _, json, size, opaque in
                Client.ear(opaque)?.listener?.measured(UnsafeRawBufferPointer(start: json, count: size))
                return 0
            }
            rd_kafka_conf_set_rebalance_cb(conf) { _, code, partitions, opaque in
                guard let partitions else { return }
                Client.ear(opaque)?.listener?.rebalanced(code, PartitionList(reading: partitions))
            }
        }

        private static func ear(_ opaque: UnsafeMutableRawPointer?) -> Ear? {
            opaque.map { Unmanaged<Ear>.fromOpaque($0).takeUnretainedValue() }
        }
    }
#endif
