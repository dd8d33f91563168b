import CLMDB
import CLMDBGuard
import Glibc

/// A call into LMDB, or into the system on its behalf, that failed.
public struct LMDBError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The code of an environment that this process has open already; LMDB itself would not notice.
  ///
  /// LMDB uses -30799 ... -30780 and the system positive numbers, so this one is free.
  public static let alreadyOpenCode: Int32 = -31_000

  /// The code of a call in which LMDB touched memory that is not there, or met one of its assertions: damaged pages.
  static let faultCode: Int32 = PFS_MDB_FAULT

  /// The code of an environment whose reader table nobody has set up.
  static let unfinishedTableCode: Int32 = -31_001

  /// What failed: a code of LMDB (negative), an `errno` value (positive), ``alreadyOpenCode`` or `faultCode`.
  public let code: Int32
  /// The C function that failed, for example `mdb_put`.
  public let operation: String
  /// Where it failed, what was expected and what was found, or empty where the code says it all.
  public let detail: String

  init(code: Int32, operation: String, detail: String = "") {
    self.code = code
    self.operation = operation
    self.detail = detail
  }

  /// For example `mdb_put: MDB_MAP_FULL: Environment mapsize limit reached (-30792)`, the detail after it.
  public var description: String {
    let summary = "\(operation): \(codeDescription) (\(code))"
    return detail.isEmpty ? summary : "\(summary): \(detail)"
  }

  /// Whether a table or file that should exist does not.
  public var isNotFound: Bool { code == MDB_NOTFOUND || code == ENOENT }
  /// Whether this process has the environment open already.
  public var isAlreadyOpen: Bool { code == Self.alreadyOpenCode }
  /// Whether the map given at open is used up: the index is full, whatever room the disk has.
  public var isMapFull: Bool { code == MDB_MAP_FULL }
  /// Whether the disk or the quota is full.
  ///
  /// A write that the disk takes only in part is reported by LMDB as `EIO`, not as this.
  public var isNoSpace: Bool { [ENOSPC, EDQUOT, EFBIG].contains(code) }
  /// Whether what is on disk is not what LMDB wrote there, or is of another version.
  public var isDamaged: Bool {
    [
      MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_INVALID, MDB_VERSION_MISMATCH, MDB_CURSOR_FULL, Self.faultCode,
      // All tables are used with the flags they were made with: others are on disk.
      MDB_INCOMPATIBLE, MDB_BAD_DBI,
    ].contains(code)
  }
  /// Whether the environment met a fatal error, such as a meta page that could not be written.
  ///
  /// Nothing more can be read or written until it is closed and opened again.
  public var isPanic: Bool { code == MDB_PANIC }
  /// Whether all reader slots are taken by running transactions.
  public var isReadersFull: Bool { code == MDB_READERS_FULL }
  /// Whether another process made the index larger than the map of this one.
  ///
  /// Only seen while other transactions of this process run; a retry after they ended adopts the new size.
  public var isMapResized: Bool { code == MDB_MAP_RESIZED }

  /// Whether opening may succeed when those who have the environment open now have closed it.
  var mayBeUnfinishedReaderTable: Bool {
    code == Self.unfinishedTableCode
      || operation == "mdb_env_open" && [MDB_INVALID, MDB_VERSION_MISMATCH].contains(code)
  }

  private var codeDescription: String {
    if code == Self.unfinishedTableCode { return "another process died while it set up the table of readers" }
    if isAlreadyOpen { return "the environment is open in this process already" }
    if code == Self.faultCode { return "a damaged page led outside the file" }
    // Safe: the text is static or lives in a buffer of this thread (glibc 2.32 on), and is copied here.
    return unsafe String(cString: mdb_strerror(code))
  }

  /// The same error, which says in what directory too.
  func located(in directory: [UInt8]) -> LMDBError {
    let place = "directory \(String(decoding: directory, as: UTF8.self))"
    return LMDBError(code: code, operation: operation, detail: detail.isEmpty ? place : "\(place): \(detail)")
  }

  /// Throws when `code` is not success.
  static func check(_ code: Int32, _ operation: String, detail: @autoclosure () -> String = "") throws(LMDBError) {
    if code != MDB_SUCCESS { throw LMDBError(code: code, operation: operation, detail: detail()) }
  }
}
