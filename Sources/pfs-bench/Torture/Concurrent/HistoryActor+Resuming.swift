import SegmentStore
import StorageIO

/// Operations that are cut short, and gone on with when something has changed in between.
extension HistoryActor {
  /// A put that is interrupted, and gone on with when the source has become another: all bytes must be those of the new
  /// one. Under a name of this actor, so that nobody else goes on with it.
  func putResumed() throws(BenchFailure) {
    let name = "\(stage.prefix)resumed-\(number)"
    var options = PutOptions()
    options.resumes = true
    let interrupted = options
    let first = try largeSource(0)
    let cancellation = Cancellation()
    try record { () throws(StoreError) in
      do throws(StoreError) {
        let file = try store.put(.file(first), as: fileName(name), interrupted, cancellation: cancellation) { _ in
          cancellation.cancel()
        }
        return .added([stored(file, name, content(0))])
      } catch  where error.code == .cancelled {
        return nil
      }
    }
    let second = try largeSource(1)
    var id: Int?
    try record { () throws(StoreError) in
      let file = try store.put(.file(second), as: fileName(name), interrupted)
      id = Int(file.id.rawValue)
      return .added([stored(file, name, content(1))])
    }
    if let id { try get(id) }
  }

  /// A get that is interrupted, and gone on with when what it had written has been altered.
  func getResumed(_ id: Int) throws(BenchFailure) {
    let name = "resumed-\(number)"
    let target = stage.scratch.appending(name)
    var options = GetOptions()
    options.resumes = true
    let resuming = options
    let cancellation = Cancellation()
    try record { () throws(StoreError) in
      do throws(StoreError) {
        try store.get(
          FileID(rawValue: UInt64(id)), to: .file(target, replacing: true), resuming, cancellation: cancellation
        ) { _ in cancellation.cancel() }
        return .present(id, content: nil)
      } catch  where error.code == .notFound {
        return .missing(id)
      } catch  where error.code == .cancelled {
        return nil
      }
    }
    try alterPartialFile(".\(name).pfs-partial")
    var isThere = false
    try record { () throws(StoreError) in
      do throws(StoreError) {
        try store.get(FileID(rawValue: UInt64(id)), to: .file(target, replacing: true), resuming)
      } catch  where error.code == .notFound {
        return .missing(id)
      }
      isThere = true
      return .present(id, content: nil)
    }
    if isThere {
      try judgeContent(of: id, in: BenchFailure.translating { () throws(SystemCallFailure) in try File.open(target) })
    }
  }

  /// Some bytes of what was written so far, if there is anything.
  private func alterPartialFile(_ name: String) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let file: File
      do throws(SystemCallFailure) { file = try File.open(stage.scratch.appending(name), .write) } catch {
        if error.isNotFound { return }
        throw error
      }
      // The first part, which has been written as a rule.
      try file.write([0, 0, 0, 0], at: 2)
    }
  }
}
