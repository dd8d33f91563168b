// swift-tools-version: 6.2
// A package of its own that uses the library: copy it anywhere, and say where pfs is.
import PackageDescription

let package = Package(
  name: "keep",
  dependencies: [.package(name: "pfs", path: Context.environment["PFS_PACKAGE"] ?? "../..")],
  targets: [.executableTarget(name: "keep", dependencies: [.product(name: "SegmentStore", package: "pfs")])])
