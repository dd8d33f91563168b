import StorageIO

/// The files that the commands of the scenarios store: in memory, and as files that every worker reads.
struct FaultSources: Sendable {
  /// By name; `tree/a` is a file in the directory `tree`.
  let contents: [String: [UInt8]]
  let directory: FilePath

  /// Makes them in the new directory `directory`.
  init(in directory: FilePath, seed: UInt64) throws(SystemCallFailure) {
    self.directory = directory
    var contents: [String: [UInt8]] = [:]
    var byteCounts = [
      ("kept", 5000), ("doomed", 1_200_000), ("small", 3000), ("large", 2_500_000), ("gone", 40_000), ("empty", 0),
      ("tree/a", 20_000), ("tree/b", 20_000), ("tree/c", 100),
    ]
    byteCounts += FaultSources.smallNames.enumerated().map { ($1, 4000 + 137 * ($0 % 20)) }
    try Directory.make(directory)
    for name in ["tree", "half"] { try Directory.make(directory.appending(name)) }
    for (number, source) in byteCounts.enumerated() {
      let bytes = FaultSources.bytes(
        source.1, seed: seed &* 31 &+ UInt64(number), shrinks: source.0.hasPrefix("tree/") || source.0 == "large")
      contents[source.0] = bytes
      try Tree.write(bytes, to: directory.appending(source.0))
    }
    self.contents = contents
  }

  /// So many, in the directory `half`, that they fill some of the smallest segments.
  static let smallNames = (10..<70).map { "half/\($0)" }

  func path(_ name: String) -> FilePath { directory.appending(name) }

  /// The same for the same seed; half of every 16 bytes are zeros where they are to shrink.
  static func bytes(_ byteCount: Int, seed: UInt64, shrinks: Bool) -> [UInt8] {
    var generator = SplitMix64(seed: seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount + 16)
    while bytes.count < byteCount {
      let word = generator.next()
      for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
      if shrinks { bytes.append(contentsOf: FaultSources.zeros) }
    }
    bytes.removeLast(bytes.count - byteCount)
    return bytes
  }

  private static let zeros = [UInt8](repeating: 0, count: 8)
}
