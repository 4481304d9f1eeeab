// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(name: "ratchet", path: "../.."),
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
    ],
    swiftLanguageModes: [.v6]
)
