#if Kafka
    import CRdkafka
    import Logging
    import Ratchet
    import Testing

    @testable import RatchetKafka

    #if canImport(FoundationEssentials)
        import FoundationEssentials
    #else
        import Foundation
    #endif

    /// TLS and SASL are librdkafka's: what is shown is that it is told all of it, and that nobody else is. The mock cluster
    /// has neither: that a connection is made by them is not tested against any broker.
    @Suite(.timeLimit(.minutes(30)), .serialized) struct SecurityTests {
        /// A certificate and its key, made by openssl.
        private struct Identity {
            let folder: String

            init() async throws {
                folder = try Shell.newFolder()
                try await Shell.run(
                    """
                    cd \(folder) && exec >/dev/null 2>&1
                    openssl req -x509 -newkey rsa:2048 -keyout key.pem -passout pass:hunter-key -out certificate.pem \
                        -days 2 -subj /CN=localhost &&
                    openssl rsa -in key.pem -passin pass:hunter-key -out plain.pem &&
                    openssl pkcs12 -export -in certificate.pem -inkey plain.pem -passout pass:hunter-store -out store.p12
                    """
                )
            }

            func path(_ name: String) -> String { "\(folder)/\(name)" }

            func text(_ name: String) throws -> String {
                String(decoding: try Data(contentsOf: URL(filePath: path(name))), as: UTF8.self)
            }

            func remove() async throws { try await Shell.run("rm -r \(folder)") }
        }

        /// Settings that go together, and what of them is nobody's business.
        private struct Case {
            let name: String
            let settings: [String: String]
            let secrets: [String]
        }

        private func cases(_ identity: Identity) throws -> [Case] {
            let (key, certificate) = (try identity.text("plain.pem"), try identity.text("certificate.pem"))
            // A line of it is secret, too.
            let line = String(key.split(separator: "\n")[3])
            let tls = [
                "security.protocol": "ssl",
                "ssl.endpoint.identification.algorithm": "https", "enable.ssl.certificate.verification": "true",
                "ssl.cipher.suites": "ECDHE-RSA-AES256-GCM-SHA384", "ssl.curves.list": "P-256",
                "ssl.sigalgs.list": "RSA+SHA256",
            ]
            func over(_ settings: [String: String]) -> [String: String] { tls.merging(settings) { $1 } }
            return [
                Case(
                    name: "a key in a file",
                    settings: over([
                        "ssl.ca.location": identity.path("certificate.pem"),
                        "ssl.certificate.location": identity.path("certificate.pem"),
                        "ssl.key.location": identity.path("key.pem"), "ssl.key.password": "hunter-key",
                    ]),
                    secrets: ["hunter"]
                ),
                Case(
                    name: "a key in the settings",
                    settings: over([
                        "ssl.certificate.pem": certificate, "ssl.key.pem": key, "ssl.ca.pem": certificate,
                    ]),
                    secrets: [line]
                ),
                Case(
                    name: "a key store",
                    settings: over([
                        "ssl.keystore.location": identity.path("store.p12"), "ssl.keystore.password": "hunter-store",
                    ]),
                    secrets: ["hunter"]
                ),
                Case(
                    name: "a password",
                    settings: over([
                        "security.protocol": "sasl_ssl", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "billing",
                        "sasl.password": "hunter-sasl",
                    ]),
                    secrets: ["hunter"]
                ),
                Case(
                    name: "a token",
                    settings: over([
                        "security.protocol": "sasl_ssl", "sasl.mechanisms": "OAUTHBEARER",
                        "enable.sasl.oauthbearer.unsecure.jwt": "true",
                        "sasl.oauthbearer.config": "principal=billing scope=orders",
                    ]),
                    secrets: ["principal=billing"]
                ),
                Case(
                    name: "Kerberos",
                    settings: [
                        "security.protocol": "sasl_plaintext", "sasl.mechanisms": "GSSAPI",
                        "sasl.kerberos.service.name": "kafka", "sasl.kerberos.principal": "billing",
                        "sasl.kerberos.keytab": "/nonexistent", "sasl.kerberos.kinit.cmd": "true hunter-ticket",
                        "sasl.kerberos.min.time.before.relogin": "60000",
                    ],
                    secrets: ["hunter"]
                ),
            ]
        }

        /// What a client says that a setting is.
        private func value(of name: String, in client: Client) -> String? {
            var size = 1 << 16
            var text = [CChar](repeating: 0, count: size)
            guard rd_kafka_conf_get(rd_kafka_conf(client.handle), name, &text, &size) == RD_KAFKA_CONF_OK else {
                return nil
            }
            return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        @Test("Every client is told every setting of TLS and SASL, and tells nobody what is secret, whatever it logs")
        func told() async throws {
            let identity = try await Identity()
            for example in try cases(identity) {
                let log = LogRecorder()
                // Nobody answers there: what it tries to connect with is in its log.
                var configuration = KafkaConfiguration(servers: ["127.0.0.1:1"])
                configuration.settings = KafkaSettings(example.settings.merging(["debug": "all"]) { $1 })
                configuration.logger = log.logger
                for (kind, settings) in [
                    (RD_KAFKA_CONSUMER, try ClientSettings.member(configuration, group: "g", instanceID: nil)),
                    (RD_KAFKA_CONSUMER, try .fetcher(configuration, group: "g")),
                    (RD_KAFKA_CONSUMER, try .lookup(configuration, group: "g")),
                    (RD_KAFKA_CONSUMER, try .reader(configuration)),
                    (RD_KAFKA_PRODUCER, try .producer(configuration)),
                ] {
                    let reports = ClientReports(configuration.logger)
                    let client = try Client(kind, settings, reports)
                    for (name, expected) in example.settings {
                        // Of a key it says only that it has one; that it reads it is shown by those that it refuses.
                        let told = name == "ssl.key.pem" ? "(REDACTED)" : expected
                        #expect(value(of: name, in: client) == told, "\(example.name): \(name)")
                    }
                    let lines = log.lines.count
                    var metadata: UnsafePointer<rd_kafka_metadata>?
                    let code = rd_kafka_metadata(client.handle, 1, nil, &metadata, 300)
                    #expect(code != RD_KAFKA_RESP_ERR_NO_ERROR)
                    #expect(log.lines.count > lines, "\(example.name): it says nothing, and so shows nothing")
                    await destroy(client, reports)
                }
                var dumped = ""
                dump(configuration, to: &dumped)
                for text in log.lines + ["\(configuration)", String(reflecting: configuration), dumped] {
                    for secret in example.secrets {
                        #expect(!text.contains(secret), "\(example.name): \(text)")
                    }
                }
            }
            try await identity.remove()
        }

        private func destroy(_ client: Client, _ reports: ClientReports) async {
            _ = try? await PlainClient.blocking { client.destroy() }
            withExtendedLifetime(reports) {}
        }

        @Test(
            "What does not fit is refused by its name, without what it was",
            arguments: [
                [
                    "ssl.key.location": "KEY", "ssl.certificate.location": "CERTIFICATE",
                    "ssl.key.password": "hunter-wrong",
                ],
                ["ssl.keystore.location": "STORE", "ssl.keystore.password": "hunter-wrong"],
                ["ssl.key.pem": "hunter-is-no-key"], ["ssl.ca.pem": "hunter-is-no-certificate"],
                ["sasl.password": "hunter", "sasl.mechanisms": "hunted"],
            ]
        )
        func refused(settings: [String: String]) async throws {
            let identity = try await Identity()
            let places = [
                "KEY": identity.path("key.pem"), "CERTIFICATE": identity.path("certificate.pem"),
                "STORE": identity.path("store.p12"),
            ]
            let log = LogRecorder()
            var configuration = KafkaConfiguration(servers: ["127.0.0.1:1"])
            configuration.settings = KafkaSettings(settings.mapValues { places[$0] ?? $0 })
            configuration.settings["security.protocol"] = settings["sasl.mechanisms"] == nil ? "ssl" : "sasl_ssl"
            configuration.logger = log.logger
            let error = try #require(throws: KafkaError.self) { _ = try Kafka(configuration).sink() }
            #expect(error.code == .invalidArgument)
            for text in log.lines + ["\(error)"] { #expect(!text.contains("hunter"), "\(text)") }
            try await identity.remove()
        }

        @Test("A client that is told to use TLS tries just that, and says so where a broker has none")
        func handshake() async throws {
            let cluster = try MockCluster(brokers: 1)
            let log = LogRecorder()
            var configuration = cluster.configuration
            configuration.settings = ["security.protocol": "ssl", "ssl.key.password": "hunter-key"]
            configuration.logger = log.logger
            configuration.timeout = .seconds(5)
            let kafka = Kafka(configuration)
            let error = await #expect(throws: KafkaError.self) { try await kafka.subscribe(to: "orders", as: "g") }
            #expect(error?.code == .timedOut && error?.isRetriable == true)
            #expect(log.lines.contains { $0.contains("SSL handshake failed") }, "\(log.lines)")
            for text in log.lines + ["\(String(describing: error))"] { #expect(!text.contains("hunter"), "\(text)") }
        }
    }
#endif
