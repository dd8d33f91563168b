import Codecs
import SegmentStore
import StorageIO

/// The files of a store by size and checksum, to see whether any byte changed.
///
/// Dates would not tell: the clock of a file system stands still for milliseconds, and a store through a mapping need not
/// move it at all. The lock file of LMDB is left out, which changes when anybody looks, and of the reserve only the
/// size counts.
struct StoreFingerprint {
  private struct Entry: Equatable {
    let byteCount: Int
    let checksum: UInt32
  }

  private var entries: [String: Entry] = [:]

  init(_ path: FilePath) throws(StoreError) {
    do throws(SystemCallFailure) { try add(path, "") } catch { throw StoreError(.io, "\(error)") }
  }

  private mutating func add(_ path: FilePath, _ prefix: String) throws(SystemCallFailure) {
    let directory = try Directory.open(path)
    for name in try directory.entries() {
      let shown = prefix + String(decoding: name, as: UTF8.self)
      if shown == "index/lock.mdb" { continue }
      let status = try directory.status(of: name)
      if status.kind == .directory {
        try add(path.appending(name), shown + "/")
      } else if shown == "reserve" {
        entries[shown] = Entry(byteCount: status.byteCount, checksum: 0)
      } else {
        let bytes = try directory.open(name).bytes(at: 0, byteCount: status.byteCount)
        entries[shown] = Entry(byteCount: bytes.count, checksum: bytes.withRawSpan { CRC32C.checksum(of: $0) })
      }
    }
  }

  /// The names of files that are not as in `other`; nil when there is none.
  func difference(from other: StoreFingerprint) -> String? {
    let names = Set(entries.keys).union(other.entries.keys).filter { entries[$0] != other.entries[$0] }
    return names.isEmpty ? nil : names.sorted().joined(separator: ", ")
  }
}
