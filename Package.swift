// swift-tools-version: 6.2
import PackageDescription

// One set of settings for every target: Swift 6 mode, existentials spelled out, imports that say what they bring,
// and lifetimes, so that a view of a message cannot outlive the bytes that it looks at.
// With SIPCORE_WARNINGS_AS_ERRORS set, as the gate does, a warning in the package's own code is an error.
let strictness: [SwiftSetting] = Context.environment["SIPCORE_WARNINGS_AS_ERRORS"] == nil ? [] : [.treatAllWarnings(as: .error)]

let settings: [SwiftSetting] =
    strictness + [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableExperimentalFeature("Lifetimes"),
    ]

/// A library target of this package.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// A test target; `Tests/NAME` mirrors the folders of what it tests. What is tested is optimised, the tests themselves are not:
/// to optimise all their expectations takes longer than to run them.
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings + [.unsafeFlags(["-Onone"])])
}

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
    name: "sipcore",
    products: [.executable(name: "sipcore", targets: ["sipcore"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Pure cores, in the order of the layers: no clock, no socket, no Foundation.
        module("SansIO"),
        module("SIPMessage", ["SansIO"]),
        module("SIPTransaction", ["SansIO", "SIPMessage"]),
        module("SIPProxy", ["SansIO", "SIPMessage", "SIPTransaction"]),
        module("SIPRegistrar", ["SansIO", "SIPMessage", crypto, cryptoExtras]),
        module("IMSProfile", ["SansIO", "SIPMessage"]),
        module("SCSCF", ["SansIO", "SIPMessage", "SIPTransaction", "SIPProxy", "SIPRegistrar", "IMSProfile"]),
        module("JSONText"),
        module("XMLTree"),
        module("InstantMessaging", ["JSONText", "SansIO", "SIPMessage", "SIPTransaction", "SIPRegistrar", "XMLTree"]),
        module("SIPTrace", ["SansIO"]),
        module("FaultRules", ["SansIO", "SIPMessage", "SIPTrace"]),
        module("SIPLadder", ["SansIO", "SIPMessage", "SIPTrace"]),
        module("LoadGenerator", ["SansIO", "SIPMessage", "SIPRegistrar"]),
        module("TrafficReview", ["SansIO", "SIPMessage", "SIPTrace", "InstantMessaging"]),
        module(
            "Simulation",
            [
                "SansIO", "SIPMessage", "SIPTransaction", "SIPRegistrar", "IMSProfile", "SCSCF", "InstantMessaging", "SIPLadder",
                "SIPTrace",
            ]),

        // Shells: files, sockets, processes, HTTP. They do not import one another.
        module("Topology", ["JSONText", "XMLTree", yams]),
        module("Store", [grdb, "SansIO"]),
        .target(name: "CNodeIO"),
        // glibc's stub resolver: what reads its answers stands in a library of its own.
        .target(name: "CNameService", linkerSettings: [.linkedLibrary("resolv")]),
        module(
            "NodeRuntime",
            [
                "CNameService", "CNodeIO", "FaultRules", "SansIO", "SIPTrace", crypto, logging, nioCore, nioHTTP1, nioPosix, nioSSL, nioTLS,
                nioWebSocket,
            ]),
        // The web page, which the C compiler puts into the executable.
        .target(name: "CPage", exclude: ["files"]),
        module(
            "ControlHTTP",
            [
                "CPage", "FaultRules", "IMSProfile", "JSONText", "SansIO", "SIPTrace", "SIPMessage", "TrafficReview", hummingbird, logging,
                nioCore, nioPosix, serviceLifecycle,
            ]),
        module("LoadDriver", ["CNodeIO", "LoadGenerator", "SansIO"]),
        .target(name: "CProcess"),
        module(
            "Lab",
            ["CProcess", "JSONText", "SIPLadder", "SIPMessage", "SIPTrace", "SansIO", "Topology", "XMLTree", hummingbird, logging, nioCore]),

        // The command: the composition root, the only target that may import everything. The executable is only its entry,
        // since what it is linked with would reach the tests of whatever it holds.
        module(
            "SipcoreCommand",
            [
                "ControlHTTP", "CProcess", "FaultRules", "IMSProfile", "InstantMessaging", "JSONText", "Lab", "LoadDriver",
                "LoadGenerator", "NodeRuntime", "SansIO", "SCSCF", "Simulation", "SIPLadder", "SIPMessage", "SIPRegistrar",
                "SIPTrace", "SIPTransaction", "Store", "Topology", "TrafficReview", argumentParser, logging,
            ]),
        .executableTarget(
            name: "sipcore", dependencies: ["SipcoreCommand"], swiftSettings: settings,
            // The executable carries its standard library: it starts faster and runs where no toolchain is.
            linkerSettings: [
                .unsafeFlags(["-static-stdlib", "-Xlinker", "--strip-debug"]),
                // What Foundation's static archives need beside themselves.
                .linkedLibrary("_CFXMLInterface"), .linkedLibrary("CoreFoundation"), .linkedLibrary("_FoundationICU"),
                .linkedLibrary("_FoundationCollections"), .linkedLibrary("_FoundationCShims"),
            ]),
        .executableTarget(
            name: "sipcore-bench",
            dependencies: ["CProcess", "IMSProfile", "LoadDriver", "SCSCF", "SIPMessage", "SIPRegistrar", "SansIO"],
            swiftSettings: settings),

        // The messages of RFC 4475 and RFC 5118, for whoever tests with them.
        .target(
            name: "TortureMessages", path: "Tests/TortureMessages", exclude: [".gitattributes", "rfc4475", "rfc5118"],
            swiftSettings: settings),

        tests("LayeringTests", []),
        tests("CommandTests", ["JSONText", "NodeRuntime", "SIPRegistrar", "SansIO", "Topology", logging, "SipcoreCommand"]),
        tests("ProcessTests", [nioCore, nioPosix, nioSSL], exclude: ["Peers", "Scenarios"]),
        // It runs the benchmark, so that must be built.
        tests("CostTests", ["sipcore-bench"]),
        tests("SansIOTests", ["SansIO"]),
        tests("SIPMessageTests", ["SansIO", "SIPMessage", "TortureMessages"]),
        tests("SIPTransactionTests", ["SansIO", "SIPMessage", "SIPTransaction"]),
        tests("SIPProxyTests", ["SansIO", "SIPMessage", "SIPProxy"]),
        tests(
            "SCSCFTests",
            ["SansIO", "SIPMessage", "SIPTransaction", "SIPProxy", "SIPRegistrar", "IMSProfile", "SCSCF", "TortureMessages", "XMLTree"]),
        tests("IMSProfileTests", ["SansIO", "SIPMessage", "IMSProfile"]),
        tests("SIPRegistrarTests", ["SansIO", "SIPMessage", "SIPRegistrar", crypto]),
        tests("InstantMessagingTests", ["SansIO", "SIPMessage", "SIPTransaction", "SIPRegistrar", "XMLTree", "InstantMessaging"]),
        tests("SIPTraceTests", ["SIPTrace", "SansIO"]),
        tests("FaultRulesTests", ["FaultRules", "SansIO", "SIPMessage", "SIPTrace"]),
        tests("TrafficReviewTests", ["TrafficReview", "SansIO", "SIPMessage", "SIPTrace", "TortureMessages"]),
        tests("SIPLadderTests", ["SIPLadder", "SIPTrace", "SansIO", "XMLTree"]),
        tests("LoadGeneratorTests", ["LoadGenerator", "SansIO", "SIPMessage"]),
        tests("SimulationTests", ["Simulation", "SansIO", "SIPMessage", "SIPRegistrar", "IMSProfile", "SCSCF", "InstantMessaging"]),
        tests("JSONTextTests", ["JSONText"]),
        tests("XMLTreeTests", ["XMLTree"]),
        tests("TopologyTests", ["Topology", "XMLTree"]),
        tests("StoreTests", ["Store", "SansIO", grdb]),
        tests(
            "NodeRuntimeTests",
            [
                "NodeRuntime", "CNodeIO", "FaultRules", "SIPTrace", "SansIO", "TortureMessages", logging, nioCore, nioHTTP1, nioPosix,
                nioSSL, nioTLS,
                nioWebSocket,
            ]),
        tests("ControlHTTPTests", ["ControlHTTP", "IMSProfile", "SansIO", "SIPMessage", "SIPTrace", "TrafficReview", logging]),
        tests("LabTests", ["Lab", "JSONText", "SansIO", "SIPLadder", "SIPTrace", "Topology"]),
    ]
)
