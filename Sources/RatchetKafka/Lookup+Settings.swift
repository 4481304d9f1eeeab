#if Kafka
    internal import CRdkafka

    extension Lookup {
        /// The settings of a topic, the cluster's defaults among them, or why they cannot be read.
        func settings(of topic: String) async -> Result<[String: String], KafkaError> {
            do {
                return try await blocking { client, timeout in Self.settings(of: topic, client, timeout) }
            } catch let error as KafkaError {
                return .failure(error)
            } catch {
                return .failure(KafkaError(.closed, "\(error)"))
            }
        }

        private static func settings(
            of topic: String,
            _ client: OpaquePointer,
            _ timeout: Int32
        ) -> Result<[String: String], KafkaError> {
            let what = "the settings of topic '\(topic)'"
            guard let queue = rd_kafka_queue_new(client) else { return .failure(KafkaError(.closed, what)) }
            defer { rd_kafka_queue_destroy(queue) }
            let options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)
            defer { rd_kafka_AdminOptions_destroy(options) }
            rd_kafka_AdminOptions_set_request_timeout(options, timeout, nil, 0)
            var resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic)
            defer { rd_kafka_ConfigResource_destroy(resource) }
            rd_kafka_DescribeConfigs(client, &resource, 1, options, queue)
            guard let event = rd_kafka_queue_poll(queue, timeout) else {
                return .failure(KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, what))
            }
            defer { rd_kafka_event_destroy(event) }
            let code = rd_kafka_event_error(event)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let result = rd_kafka_event_DescribeConfigs_result(event) else {
                return .failure(KafkaError(code, what))
            }
            return read(result, what)
        }

        private static func read(_ result: OpaquePointer, _ what: String) -> Result<[String: String], KafkaError> {
            var count = 0
            guard let resources = rd_kafka_DescribeConfigs_result_resources(result, &count), count > 0,
                let resource = resources[0]
            else { return .failure(KafkaError(RD_KAFKA_RESP_ERR_RESOURCE_NOT_FOUND, what)) }
            let code = rd_kafka_ConfigResource_error(resource)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return .failure(KafkaError(code, what)) }
            let entries = rd_kafka_ConfigResource_configs(resource, &count)
            var settings: [String: String] = [:]
            for index in 0..<count {
                guard let entry = entries?[index], let name = rd_kafka_ConfigEntry_name(entry) else { continue }
                // Null for what is secret.
                settings[String(cString: name)] = rd_kafka_ConfigEntry_value(entry).map { String(cString: $0) }
            }
            return .success(settings)
        }
    }
#endif
