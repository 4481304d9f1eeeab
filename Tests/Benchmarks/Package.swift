// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "benchmarks",
    traits: [
        .trait(name: "Kafka", description: "The benchmark over Kafka; needs librdkafka-dev."),
        .trait(name: "RabbitMQ", description: "The benchmark over RabbitMQ; needs librabbitmq-dev."),
    ],
    dependencies: [
        .package(
            name: "ratchet",
            path: "../..",
            traits: [
                .trait(name: "Kafka", condition: .when(traits: ["Kafka"])),
                .trait(name: "RabbitMQ", condition: .when(traits: ["RabbitMQ"])),
            ]
        ),
        // The command lines of the benchmarks, as in the library's own examples.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        // The library's own log interface, to keep it quiet.
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    ],
    targets: [
        .systemLibrary(name: "CSystemLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .target(name: "CBaseline", dependencies: ["CSystemLMDB"], cSettings: [.unsafeFlags(["-O2"])]),
        .executableTarget(
            name: "LedgerBenchmark",
            dependencies: [
                "CBaseline", .product(name: "Ratchet", package: "ratchet"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]
        ),
        .executableTarget(
            name: "HistoryBenchmark",
            dependencies: [
                .product(name: "RatchetTesting", package: "ratchet"), .product(name: "Ratchet", package: "ratchet"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]
        ),
        .target(name: "CServers", cSettings: [.unsafeFlags(["-O2"])]),
        .executableTarget(
            name: "BrokerBenchmark",
            dependencies: [
                "CBaseline", "CServers", .product(name: "Ratchet", package: "ratchet"),
                .product(name: "RatchetBroker", package: "ratchet"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        // Without the trait these are empty, and librabbitmq is not looked for.
        .systemLibrary(name: "CSystemRabbitMQ", pkgConfig: "librabbitmq", providers: [.apt(["librabbitmq-dev"])]),
        .target(
            name: "CPlainRabbitMQ",
            dependencies: [.target(name: "CSystemRabbitMQ", condition: .when(traits: ["RabbitMQ"]))],
            cSettings: [.unsafeFlags(["-O2"]), .define("RABBITMQ", .when(traits: ["RabbitMQ"]))]
        ),
        .executableTarget(
            name: "RabbitMQBenchmark",
            dependencies: [
                "CPlainRabbitMQ", .product(name: "Ratchet", package: "ratchet"),
                .product(name: "RatchetRabbitMQ", package: "ratchet", condition: .when(traits: ["RabbitMQ"])),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .target(name: "CAllocations"),
        .executableTarget(
            name: "PipelineBenchmark",
            dependencies: [
                "CAllocations", "CBaseline", .product(name: "Ratchet", package: "ratchet"),
                .product(name: "RatchetBroker", package: "ratchet"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        // Without the trait Kafka these say that they were built without it, and librdkafka is not looked for.
        .systemLibrary(name: "CSystemRdkafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .executableTarget(
            name: "kafka-feed",
            dependencies: [.target(name: "CSystemRdkafka", condition: .when(traits: ["Kafka"]))],
            path: "Sources/KafkaFeed",
            cSettings: [.define("KAFKA", .when(traits: ["Kafka"])), .unsafeFlags(["-O2"])]
        ),
        .executableTarget(
            name: "KafkaBenchmark",
            dependencies: [
                .product(name: "RatchetKafka", package: "ratchet", condition: .when(traits: ["Kafka"])),
                .product(name: "Ratchet", package: "ratchet"), .product(name: "RatchetBroker", package: "ratchet"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
    ],
    swiftLanguageModes: [.v6]
)
