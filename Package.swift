// swift-tools-version: 6.2
// pfs: a memory-mapped, append-only segment store. The targets are the layers of docs/DESIGN.md:
// a target can import only what its `dependencies` name, so that a broken layer does not compile.
import PackageDescription

let swiftSettings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
]
let cSettings: [CSetting] = [.treatAllWarnings(as: .error)]

/// A fence or pure layer of the product.
func layer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

/// A C library that comes with the system, described by a module map.
func systemLibrary(_ name: String, pkgConfig: String, debianPackage: String) -> Target {
  .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([debianPackage])])
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

let package = Package(
  name: "pfs",
  products: [
    .library(name: "SegmentStore", targets: ["SegmentStore"]),
    .library(name: "ChunkStore", targets: ["ChunkStore"]),
    .library(name: "StagingFS", targets: ["StagingFS"]),
    .executable(name: "pfs", targets: ["pfs"]),
    .executable(name: "pfs-bench", targets: ["pfs-bench"]),
    // Loaded before libc, it makes system calls fail; pfs-bench and the tests find it beside themselves.
    .library(name: "FaultInjection", type: .dynamic, targets: ["FaultInjection"]),
  ],
  targets: [
    // C: module maps of system libraries, and what Swift cannot say.
    systemLibrary("CLMDB", pkgConfig: "lmdb", debianPackage: "liblmdb-dev"),
    systemLibrary("CZlib", pkgConfig: "zlib", debianPackage: "zlib1g-dev"),
    systemLibrary("CISAL", pkgConfig: "libisal", debianPackage: "libisal-dev"),
    systemLibrary("CDeflate", pkgConfig: "libdeflate", debianPackage: "libdeflate-dev"),
    systemLibrary("CZstd", pkgConfig: "libzstd", debianPackage: "libzstd-dev"),
    systemLibrary("CLZ4", pkgConfig: "liblz4", debianPackage: "liblz4-dev"),
    systemLibrary("CYAML", pkgConfig: "yaml-0.1", debianPackage: "libyaml-dev"),
    systemLibrary("CEdit", pkgConfig: "libedit", debianPackage: "libedit-dev"),
    .target(name: "CKernels", cSettings: cSettings),
    .target(name: "CLMDBGuard", dependencies: ["CLMDB"], cSettings: cSettings),
    .target(name: "CFaultyDisk", cSettings: cSettings),

    // Defects that the torture harness must see; nothing of it is left without -DPFS_MUTANTS.
    layer("Mutants", []),

    // Fences: only here Glibc, C modules and `unsafe`.
    layer("StorageIO", ["CKernels", "Mutants"]),
    layer("LMDB", ["CLMDB", "CLMDBGuard", "Mutants"]),
    layer("Codecs", ["CKernels", "CZlib", "CISAL", "CDeflate", "CZstd", "CLZ4"]),
    layer("YAML", ["CYAML"]),
    layer("Console", ["CEdit", "CommandSupport"]),
    layer("FaultyDisk", ["CFaultyDisk", "StorageIO"]),

    // The store.
    layer("SegmentStore", ["StorageIO", "LMDB", "Codecs", "Mutants"]),

    // Typed structures in mapped chunks.
    layer("ChunkStore", ["StorageIO", "LMDB", "Codecs"]),
    // A staging tree in memory above it.
    layer("StagingFS", ["SegmentStore", "StorageIO", "CommandSupport"]),

    // The commands.
    layer("CommandSupport", []),
    .executableTarget(
      name: "pfs", dependencies: ["SegmentStore", "StagingFS", "StorageIO", "CommandSupport", "Console", "YAML"],
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "pfs-bench",
      dependencies: [
        "SegmentStore", "StagingFS", "ChunkStore", "CommandSupport", "Console", "Codecs", "FaultyDisk", "StorageIO",
        "Mutants",
      ],
      swiftSettings: swiftSettings),

    // Programs to learn from.
    .executableTarget(
      name: "sensor-log", dependencies: ["ChunkStore"], path: "Examples/SensorLog", swiftSettings: swiftSettings),

    .target(
      name: "FaultInjection", cSettings: cSettings,
      // Nothing of Swift: the library is loaded into programs that have their own.
      linkerSettings: [.unsafeFlags(["-static-stdlib", "-nostartfiles"])]),

    // The examples of the documentation, which the tests run.
    .executableTarget(
      name: "etl-staging", dependencies: ["SegmentStore", "StagingFS"], path: "Examples/etl-staging",
      swiftSettings: swiftSettings),

    // The promises.
    .target(name: "TestSupport", dependencies: ["SegmentStore"], path: "Tests/TestSupport"),
    tests("StorageIOTests", ["StorageIO", "TestSupport"]),
    tests("LMDBTests", ["LMDB", "TestSupport"]),
    tests("CodecsTests", ["Codecs", "CZlib", "CISAL", "CDeflate"]),
    tests("YAMLTests", ["YAML"]),
    tests("CommandSupportTests", ["CommandSupport"]),
    tests("SegmentStoreTests", ["SegmentStore", "StorageIO", "LMDB", "Codecs", "TestSupport"]),
    tests("ChunkStoreTests", ["ChunkStore", "StorageIO", "LMDB", "TestSupport"]),
    tests("StagingFSTests", ["StagingFS", "SegmentStore", "StorageIO", "TestSupport"]),
    tests("CommandTests", ["pfs", "pfs-bench", "etl-staging", "SegmentStore", "ChunkStore", "TestSupport"]),
  ]
)

// Only for the sanitizers: the targets that are named there, and what these need. All else would take most of the time to build.
if let names = Context.environment["PFS_ONLY"] {
  var kept: Set<String> = []
  var waiting = names.split(separator: ",").map(String.init)
  while let name = waiting.popLast() {
    guard kept.insert(name).inserted else { continue }
    for dependency in package.targets.first(where: { $0.name == name })?.dependencies ?? [] {
      switch dependency {
      case .byNameItem(let name, _), .targetItem(let name, _): waiting.append(name)
      default: break
      }
    }
  }
  package.targets.removeAll { !kept.contains($0.name) }
  package.products.removeAll { !kept.contains($0.name) }
}

// Only for Fuzz/run, which sets the variable: it is built with other flags than all else.
if Context.environment["PFS_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "fuzz", dependencies: ["SegmentStore", "LMDB", "StorageIO", "Codecs", "YAML", "CommandSupport"],
      path: "Fuzz/Targets", swiftSettings: [.unsafeFlags(["-parse-as-library"])]))
}
