import LMDB
import StorageIO

/// Looks for segment files that the index does not name.
struct UnknownSegments {
  let run: VerificationRun
  let index: Index

  private enum Standing {
    case known
    /// A writer is there, living or dead, who may have left it: to be removed.
    case leftOver
    /// The index never made it.
    case newer
    case unexplained
  }

  func check() throws(StoreError) {
    for id in try run.store.segmentFiles() {
      try run.cancellation.check()
      let standing = standing(of: id)
      if case .known = standing { continue }
      // Looked at again: a segment that is being removed leaves the index first.
      guard try isThere(id) else { continue }
      switch standing {
      case .known: continue
      case .leftOver: run.note("segment \(id) is not in the index: it will be removed at the next open")
      case .newer:
        guard case .newer = self.standing(of: id) else { continue }
        run.report(
          Finding(.index, "the index is older than this segment, which it does not know", segment: id))
      case .unexplained:
        run.report(
          Finding(.segment, "the index does not know this segment, and no writer can have left it", segment: id))
      }
    }
  }

  private func standing(of id: SegmentID) -> Standing {
    let index = index
    return index.look(otherwise: .known) { (transaction) throws(StoreError) in
      if try index.segments.segment(id, in: transaction) != nil { return .known }
      guard id.rawValue < (try index.counters(in: transaction).nextSegment) else { return .newer }
      let writers = try translatingIndex { () throws(LMDBError) in try transaction.entryCount(index.writers) }
      return writers > 0 ? .leftOver : .unexplained
    }
  }

  private func isThere(_ id: SegmentID) throws(StoreError) -> Bool {
    do throws(SystemCallFailure) {
      _ = try run.store.segmentDirectory.status(of: id.fileName)
      return true
    } catch {
      if error.isNotFound { return false }
      throw StoreError(error)
    }
  }
}
