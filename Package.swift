// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "ratchet",
    products: [
        .library(name: "Ratchet", targets: ["Ratchet"]),
        .library(name: "RatchetBroker", targets: ["RatchetBroker"]),
        .library(name: "RatchetTesting", targets: ["RatchetTesting"]),
        .library(name: "RatchetKafka", targets: ["RatchetKafka"]),
        .executable(name: "orders", targets: ["Orders"]),
        .executable(name: "getting-started", targets: ["GettingStarted"]),
        .executable(name: "prove-your-handler", targets: ["ProveYourHandler"]),
        .executable(name: "loss-lab", targets: ["LossLab"]),
    ],
    traits: [
        .trait(name: "Kafka", description: "The connector to Kafka; needs librdkafka-dev."),
        // Tests/crash builds with it; every other build is without a trace of it.
        .trait(name: "CrashPoints", description: "Places where RATCHET_CRASH_AT=name:n kills the process, for tests."),
        // Tests/torture --broken builds with it; every other build is without a trace of it.
        .trait(name: "BrokenVariants", description: "Mistakes that RATCHET_BROKEN=name makes, for tests of the tests."),
    ],
    dependencies: [
        // Logs, metrics and spans go wherever the application sends them: the server ecosystem's own interfaces.
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.2.0"),
        // A pipeline and a broker are services: started, supervised and shut down in order with the user's others.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
        // Queues that are taken from at the front.
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        // SHA-256, where a hash must be strong: long idempotency keys, payloads that do not decode.
        .package(url: "https://github.com/apple/swift-crypto", "3.8.0"..<"5.0.0"),
        // Programs under test are started and killed: processes, and the files they write to.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
        .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
        // The command lines of the examples.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    ],
    targets: [
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"]), .brew(["lmdb"])]),
        .target(name: "LMDB", dependencies: ["CLMDB"]),
        .target(
            name: "Ratchet",
            dependencies: [
                "LMDB",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]
        ),
        .target(
            name: "RatchetBroker",
            dependencies: [
                "LMDB", "Ratchet",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "DequeModule", package: "swift-collections"),
            ]
        ),
        .target(
            name: "RatchetTesting",
            dependencies: [
                "Ratchet", "RatchetBroker", "LMDB",
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]
        ),
        // Without the trait Kafka these are empty, and librdkafka is not looked for.
        .systemLibrary(
            name: "CRdkafka",
            pkgConfig: "rdkafka",
            providers: [.apt(["librdkafka-dev"]), .brew(["librdkafka"])]
        ),
        .target(
            name: "RatchetKafka",
            dependencies: [
                .target(name: "CRdkafka", condition: .when(traits: ["Kafka"])),
                "LMDB", "Ratchet",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
            ]
        ),
        // librdkafka's mock cluster, as a process of its own.
        .executableTarget(
            name: "kafka-mock",
            dependencies: [.target(name: "CRdkafka", condition: .when(traits: ["Kafka"]))],
            path: "Tests/KafkaMock"
        ),
        .testTarget(
            name: "RatchetKafkaTests",
            dependencies: [
                .target(name: "CRdkafka", condition: .when(traits: ["Kafka"])),
                // Run as programs of their own, from beside the tests.
                "kafka-mock", "Orders",
                "RatchetKafka", "RatchetTesting", "Ratchet", "Purchases", "Seeds",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
            ],
            exclude: ["produce.py"]
        ),
        .executableTarget(
            name: "Orders",
            dependencies: [
                "Ratchet", "RatchetBroker",
                .target(name: "RatchetKafka", condition: .when(traits: ["Kafka"])),
                .target(name: "RatchetRabbitMQ", condition: .when(traits: ["RabbitMQ"])),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Examples/Orders"
        ),
        .executableTarget(
            name: "GettingStarted",
            dependencies: ["Ratchet", "RatchetBroker"],
            path: "Examples/GettingStarted"
        ),
        .executableTarget(
            name: "Smallest",
            dependencies: [
                "Ratchet", "RatchetBroker",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Examples/Smallest"
        ),
        .executableTarget(
            name: "ProveYourHandler",
            dependencies: [
                "Ratchet", "RatchetTesting",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Examples/ProveYourHandler"
        ),
        .executableTarget(
            name: "LossLab",
            dependencies: [
                "Ratchet", "RatchetBroker", "RatchetTesting",
                .target(name: "CRabbitMQ", condition: .when(traits: ["RabbitMQ"])),
                .target(name: "RatchetRabbitMQ", condition: .when(traits: ["RabbitMQ"])),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Examples/LossLab"
        ),
        // Runs many seeds of the simulation.
        .executableTarget(
            name: "simulate",
            dependencies: [
                "RatchetTesting", "Seeds",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Simulate"
        ),
        // Reads from outside what a program under test has published.
        .executableTarget(
            name: "receipts",
            dependencies: [
                "Ratchet", "RatchetBroker", "RatchetTesting",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Receipts"
        ),
        // Producers and queues, to be killed.
        .executableTarget(
            name: "shop",
            dependencies: [
                "Ratchet", "RatchetBroker",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Shop"
        ),
        // Makes the states that power cuts may leave of a recorded run.
        .executableTarget(name: "power-cut", dependencies: ["Seeds"], path: "Tests/PowerCut"),
        // Compacts a topic and dies of it, for tests.
        .executableTarget(
            name: "compactor",
            dependencies: ["Ratchet", "RatchetBroker", .product(name: "Logging", package: "swift-log")],
            path: "Tests/Compactor"
        ),
        // What tests leave to chance, by seeds that are printed.
        .target(name: "Seeds", path: "Tests/Seeds"),
        // What tests have the examples process, and what must come of it.
        .target(name: "Purchases", dependencies: ["Seeds"], path: "Tests/Purchases"),
        // Faults made to order: write and sync calls that fail, in the process under test.
        .target(name: "CFaults", path: "Tests/CFaults"),
        .testTarget(name: "LMDBTests", dependencies: ["LMDB", "CFaults", "Seeds"]),
        .testTarget(
            name: "RatchetTests",
            dependencies: [
                "Ratchet", "LMDB", "CFaults", "Seeds",
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .testTarget(
            name: "RatchetBrokerTests",
            dependencies: [
                "RatchetBroker", "Ratchet", "LMDB", "CFaults", "Seeds",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .testTarget(
            name: "RatchetTestingTests",
            dependencies: [
                "RatchetTesting", "RatchetBroker", "Ratchet", "Seeds",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Subprocess", package: "swift-subprocess"),
            ]
        ),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                .target(name: "CRabbitMQ", condition: .when(traits: ["RabbitMQ"])),
                "RatchetKafka", "RatchetRabbitMQ",
                "Ratchet", "RatchetBroker", "RatchetTesting", "LMDB", "Orders", "Seeds",
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                // Run as a program of its own, from beside the tests.
                "Orders", "GettingStarted", "Smallest", "ProveYourHandler", "LossLab", "simulate", "compactor",
                "shop",
                "RatchetBroker", "Ratchet", "RatchetTesting", "CFaults", "Purchases", "Seeds",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
    ],
    swiftLanguageModes: [.v6]
)

// RabbitMQ, by librabbitmq: built with the trait "RabbitMQ", which needs librabbitmq-dev; every other build needs neither.
package.traits.insert(.trait(name: "RabbitMQ", description: "Sources and sinks on RabbitMQ: RatchetRabbitMQ."))
package.products.append(.library(name: "RatchetRabbitMQ", targets: ["RatchetRabbitMQ"]))
package.targets += [
    .systemLibrary(
        name: "CRabbitMQ",
        pkgConfig: "librabbitmq",
        providers: [.apt(["librabbitmq-dev"]), .brew(["rabbitmq-c"])]
    ),
    .target(
        name: "RatchetRabbitMQ",
        dependencies: [
            .target(name: "CRabbitMQ", condition: .when(traits: ["RabbitMQ"])),
            "LMDB", "Ratchet",
            .product(name: "Logging", package: "swift-log"),
            .product(name: "DequeModule", package: "swift-collections"),
        ]
    ),
    .testTarget(
        name: "RatchetRabbitMQTests",
        dependencies: [
            .target(name: "CRabbitMQ", condition: .when(traits: ["RabbitMQ"])),
            // Run as programs of their own, from beside the tests.
            "Orders", "LossLab",
            "RatchetRabbitMQ", "Ratchet", "RatchetTesting", "Purchases", "Seeds", "LMDB",
            .product(name: "Logging", package: "swift-log"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ],
        exclude: ["produce.py", "relay.py"]
    ),
]

for target in package.targets where target.type != .system && target.name != "CFaults" {
    // The smallest program is compiled as a newcomer's.
    if target.name != "Smallest" {
        target.swiftSettings = [
            .enableUpcomingFeature("ExistentialAny"),
            .enableUpcomingFeature("MemberImportVisibility"),
            .enableUpcomingFeature("InternalImportsByDefault"),
            .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        ]
    }
    // Set by CI; whoever builds with a newer compiler should not be stopped by what that one warns about.
    if Context.environment["RATCHET_WARNINGS_AS_ERRORS"] != nil {
        target.swiftSettings = (target.swiftSettings ?? []) + [.treatAllWarnings(as: .error)]
    }
}

// Set by Tests/sanitize, which builds everything anew for a few tests: those and what they need, nothing else.
if let tests = Context.environment["RATCHET_TEST_TARGETS"]?.split(separator: " ").map(String.init) {
    let others = ["RatchetTesting", "RatchetKafka", "RatchetRabbitMQ", "Purchases"]
    package.products = []
    package.targets.removeAll { target in
        target.type == .executable || target.type == .test && !tests.contains(target.name)
            || others.contains(target.name)
    }
    // Files of these, as TARGET/PATH.
    for file in Context.environment["RATCHET_OTHER_TESTS"]?.split(separator: " ").map(String.init) ?? [] {
        for target in package.targets where file.hasPrefix(target.name + "/") {
            target.exclude.append(String(file.dropFirst(target.name.count + 1)))
        }
    }
}
