/// How many entries a table has, and the sum of their digests, whatever their order.
///
/// A page that LMDB wrote long ago looks as sound as the newest one. What the owner of the tables has kept of their sums
/// tells it: a table with such a page has others.
public struct TableSum: Hashable, Sendable {
  public var entryCount: UInt64
  /// Modulo 2^64.
  public var digest: UInt64

  public init(entryCount: UInt64 = 0, digest: UInt64 = 0) {
    self.entryCount = entryCount
    self.digest = digest
  }

  mutating func add(_ digest: UInt64) {
    entryCount &+= 1
    self.digest &+= digest
  }

  mutating func subtract(_ digest: UInt64) {
    entryCount &-= 1
    self.digest &-= digest
  }

  /// The sum with `changes`, which may take away: both fields wrap.
  public mutating func add(_ changes: TableSum) {
    entryCount &+= changes.entryCount
    digest &+= changes.digest
  }
}

/// What a write transaction has changed in the sums of tables.
final class TableChanges {
  private(set) var sums: [String: TableSum] = [:]

  func note(_ table: Table, _ key: [UInt8], old: [UInt8]?, new: [UInt8]?) {
    if let old { sums[table.name, default: TableSum()].subtract(EntryDigest.of(key[...], old[...])) }
    if let new { sums[table.name, default: TableSum()].add(EntryDigest.of(key[...], new[...])) }
  }
}

/// A number of 64 bits for an entry: of two that differ, it is the same by accident only.
enum EntryDigest {
  static func of(_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) -> UInt64 {
    var digest = mixed(UInt64(key.count) << 32 | UInt64(value.count))
    absorb(key, into: &digest)
    absorb(value, into: &digest)
    return digest
  }

  private static func absorb(_ bytes: ArraySlice<UInt8>, into digest: inout UInt64) {
    var result = digest
    // Safe: no word reaches behind the end of the buffer, and the last bytes are taken one by one.
    unsafe bytes.withUnsafeBytes { buffer in
      var offset = 0
      while offset + 8 <= buffer.count {
        let word = unsafe UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        result = mixed(result ^ word)
        offset += 8
      }
      var rest: UInt64 = 0
      while offset < buffer.count {
        rest = unsafe rest << 8 | UInt64(buffer[offset])
        offset += 1
      }
      result = mixed(result ^ rest)
    }
    digest = result
  }

  /// One step of SplitMix64 (Sebastiano Vigna, public domain): every bit depends on all.
  private static func mixed(_ word: UInt64) -> UInt64 {
    var value = word &+ 0x9E37_79B9_7F4A_7C15
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
