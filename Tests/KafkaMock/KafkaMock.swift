#if Kafka
    import CRdkafka

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #elseif canImport(Darwin)
        import Darwin
    #endif

    /// librdkafka's mock cluster as a process of its own, so that a test can stop and resume it and its clients can die:
    /// prints the servers' addresses, then does what each line of standard input says and answers `ok` or `error`, and
    /// ends with its input.
    ///
    ///     topic NAME PARTITIONS       makes a topic
    ///     leader NAME PARTITION BROKER    makes a broker the leader of a partition, -1 for none
    ///     coordinator GROUP BROKER    makes a broker the coordinator of a group
    ///     down BROKER, up BROKER      cuts a broker off, or has it back
    ///     slow BROKER MILLISECONDS    answers so much later
    ///     errors APIKEY CODE COUNT    has the next requests of a kind answered with an error
    ///     topic-error NAME CODE       has requests for a topic's metadata answered with an error, 0 for none
    @main
    struct KafkaMock {
        static func main() {
            let brokers = CommandLine.arguments.dropFirst().first.flatMap { Int32($0) } ?? 3
            var text = [CChar](repeating: 0, count: 512)
            let conf = rd_kafka_conf_new()
            // It has no servers to reach, which it would remark upon.
            guard rd_kafka_conf_set(conf, "log_level", "0", &text, text.count) == RD_KAFKA_CONF_OK,
                let client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, &text, text.count),
                let cluster = rd_kafka_mock_cluster_new(client, brokers)
            else { return say("error") }
            say(String(cString: rd_kafka_mock_cluster_bootstraps(cluster)))
            while let line = readLine() {
                say(run(line.split(separator: " ").map(String.init), cluster) ? "ok" : "error")
            }
        }

        /// A line, at once: who asked waits for it.
        private static func say(_ text: String) {
            let line = Array((text + "\n").utf8)
            if write(1, line, line.count) != line.count { exit(1) }
        }

        private static func run(_ words: [String], _ cluster: OpaquePointer) -> Bool {
            let numbers = words.map { Int32($0) ?? -1 }
            switch (words.first, words.count) {
            case ("topic", 3):
                return rd_kafka_mock_topic_create(cluster, words[1], numbers[2], 3) == RD_KAFKA_RESP_ERR_NO_ERROR
            case ("leader", 4):
                let code = rd_kafka_mock_partition_set_leader(cluster, words[1], numbers[2], numbers[3])
                return code == RD_KAFKA_RESP_ERR_NO_ERROR
            case ("coordinator", 3):
                let code = rd_kafka_mock_coordinator_set(cluster, "group", words[1], numbers[2])
                return code == RD_KAFKA_RESP_ERR_NO_ERROR
            case ("down", 2): return rd_kafka_mock_broker_set_down(cluster, numbers[1]) == RD_KAFKA_RESP_ERR_NO_ERROR
            case ("up", 2): return rd_kafka_mock_broker_set_up(cluster, numbers[1]) == RD_KAFKA_RESP_ERR_NO_ERROR
            case ("slow", 3):
                return rd_kafka_mock_broker_set_rtt(cluster, numbers[1], numbers[2]) == RD_KAFKA_RESP_ERR_NO_ERROR
            case ("errors", 4):
                let errors = Array(repeating: rd_kafka_resp_err_t(numbers[2]), count: Int(numbers[3]))
                rd_kafka_mock_push_request_errors_array(cluster, Int16(numbers[1]), errors.count, errors)
                return true
            case ("topic-error", 3):
                rd_kafka_mock_topic_set_error(cluster, words[1], rd_kafka_resp_err_t(numbers[2]))
                return true
            default: return false
            }
        }
    }
#else
    /// Built without the trait Kafka there is nothing to run.
    @main
    struct KafkaMock {
        static func main() { print("error: built without the trait Kafka") }
    }
#endif
