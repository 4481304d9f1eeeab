#if RabbitMQ
    import RatchetRabbitMQ
    import Testing

    @Suite struct RabbitMQAddressTests {
        @Test("What a URL leaves out is the protocol's default")
        func defaults() throws {
            let address = try RabbitMQAddress("amqp://")
            #expect(address.host == "localhost" && address.port == 5672 && address.user == "guest")
            #expect(address.virtualHost == "/" && !address.isEncrypted)
            #expect(try RabbitMQAddress("AMQPS://rabbit").port == 5671)
            #expect(try RabbitMQAddress("amqp://h/").virtualHost == "/")
        }

        @Test("Encoded parts are read as they are meant")
        func parts() throws {
            let address = try RabbitMQAddress("amqp://b%C3%B6b:p%40ss%2F@[::1]:99/a%2Fb")
            #expect(address.user == "böb" && address.host == "::1" && address.port == 99)
            #expect(address.virtualHost == "a/b")
            #expect("\(address)" == "amqp://[::1]:99/a%2Fb")
        }

        @Test("No description, error or reflection holds the password")
        func secret() throws {
            let address = try RabbitMQAddress("amqps://bob:geheim@h/v?cacertfile=/ca&certfile=/c&keyfile=/k")
            var dumped = ""
            dump(address, to: &dumped)
            for text in [
                "\(address)", String(reflecting: address), dumped, "\([address])", "\(Optional(address) as Any)",
            ] {
                #expect(!text.contains("geheim"), "\(text)")
            }
            let wrong = [
                "geheim", "http://bob:geheim@h", "amqp://bob:geheim@h:0", "amqp://bob:geheim@[h",
                "amqp://bob:geheim%4@h",
                "amqp://bob:geheim@h/a/b", "amqp://bob:geheim@h?verify=verify_none", "amqps://bob:geheim@h?verify=no",
                "amqps://bob:geheim@h?certfile=x", "amqp://bob:geheim@h?x", "amqps://bob:a?geheim=b@h",
                "amqp://bob:1/geheim@h", "amqp://bob:1/geheim@h/v",
            ]
            for url in wrong {
                let error = #expect(throws: RabbitMQError.self, "\(url)") { try RabbitMQAddress(url) }
                #expect(error?.code == .invalidAddress)
                #expect(error.map { !"\($0)".contains("geheim") } ?? false, "\(url)")
            }
        }

        @Test("A queue stands behind the virtual host")
        func queue() throws {
            let (address, queue) = try RabbitMQAddress.withQueue("amqp://bob:x@h:1/orders")
            #expect(queue == "orders" && address.virtualHost == "/" && address.port == 1 && address.user == "bob")
            let (other, second) = try RabbitMQAddress.withQueue("amqps://h/v%2F1/a%20b?verify=verify_none")
            #expect(second == "a b" && other.virtualHost == "v/1" && other.isEncrypted)
            for url in ["amqp://h", "amqp://h/", "amqp://h/a/b/c", "amqp://h/a/"] {
                #expect(throws: RabbitMQError.self, "\(url)") { try RabbitMQAddress.withQueue(url) }
            }
        }

        @Test("A queue's prefetch is what a pipeline may have in flight of it")
        func inFlightLimit() throws {
            let address = try RabbitMQAddress("amqp://")
            #expect(try RabbitMQSubscription(to: "orders", at: address, as: "billing", prefetch: 7).inFlightLimit == 7)
        }
    }
#endif
