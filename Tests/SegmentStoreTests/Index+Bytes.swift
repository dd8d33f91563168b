import LMDB

@testable import SegmentStore

extension Index {
  /// Sets the bytes under a key, whatever they mean; nil removes them.
  func setBytes(_ bytes: [UInt8]?, under key: [UInt8], in name: String) throws(StoreError) {
    let table = name == "meta" ? meta : table(named: name)
    try write { (transaction) throws(StoreError) in
      try translatingIndex { () throws(LMDBError) in
        if let bytes { try transaction.put(table, key, bytes) } else { _ = try transaction.delete(table, key) }
      }
    }
  }
}
