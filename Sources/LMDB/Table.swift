import CLMDB

/// A named table of an ``Environment``: byte string keys in byte order, one value a key.
///
/// Valid as long as its environment is open. Using it with another environment traps.
public struct Table: Sendable {
  /// The name it was opened by.
  public let name: String
  let identifier: MDB_dbi
  let environmentNumber: UInt64

  /// The number of bytes a key can have.
  public static let keyByteCounts = 1...511

  /// Throws when `key` cannot be a key: LMDB would take one that is too long for one that is not there.
  static func check(_ key: [UInt8], _ operation: String) throws(LMDBError) {
    guard keyByteCounts.contains(key.count) else {
      throw LMDBError(
        code: MDB_BAD_VALSIZE, operation: operation,
        detail: "a key has \(keyByteCounts.lowerBound) to \(keyByteCounts.upperBound) bytes, this one \(key.count)")
    }
  }
}
