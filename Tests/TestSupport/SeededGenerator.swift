import Foundation

/// Numbers that are the same for the same seed: SplitMix64, by Sebastiano Vigna (public domain).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  /// A number below `bound`.
  public mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  public mutating func bytes(_ byteCount: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount + 8)
    while bytes.count < byteCount {
      let word = next()
      for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * shift))) }
    }
    bytes.removeLast(bytes.count - byteCount)
    return bytes
  }
}

/// The seed of a random test, and the line that says how to run it again.
///
/// It is the same in every run unless `PFS_TEST_SEED` gives another one.
public struct TestSeed: Sendable, CustomStringConvertible {
  public let value: UInt64
  private let test: String

  public init(_ test: String, default number: UInt64) {
    value = ProcessInfo.processInfo.environment["PFS_TEST_SEED"].flatMap(UInt64.init) ?? number
    self.test = test
    print("\(test): PFS_TEST_SEED=\(value)")
  }

  public var generator: SeededGenerator { SeededGenerator(seed: value) }
  public var description: String { "\(test): PFS_TEST_SEED=\(value)" }
}
