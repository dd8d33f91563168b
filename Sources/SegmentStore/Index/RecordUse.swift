import LMDB

/// What the index says of records that were found in segments, for those who move them.
extension Index {
  /// Whether something needs the record where it lies, and will go on doing so: what belongs to a file that is being
  /// deleted is about to go, and a tombstone that does not count goes with its segment.
  func isMovable<Access>(
    _ record: RecordHeader, in transaction: borrowing Transaction<Access>
  ) throws(StoreError) -> Bool {
    switch record.kind {
    case .part:
      guard let part = try parts.part(record.part, in: transaction), part.state == .live,
        part.location == record.location, let file = try files.file(record.file, in: transaction)
      else { return false }
      return file.state != .deleting
    case .manifest:
      guard let file = try files.file(record.file, in: transaction), file.state == .ready else { return false }
      return file.manifestLocation == record.location
    case .commit:
      return try files.commit(record.sequence, in: transaction)?.location == record.location
    case .tombstone:
      guard let entry = try files.tombstone(of: record.file, in: transaction) else { return false }
      return entry.isCounted && entry.location == record.location
    default:
      return false
    }
  }

  /// Names `copy` in the place of a record that is movable. The accounts of the segments are the caller's.
  func relocate(
    _ record: RecordHeader, to copy: RecordLocation, in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    switch record.kind {
    case .part:
      guard let part = try parts.part(record.part, in: transaction) else { return }
      try parts.set(record.part, part.moved(to: copy), in: transaction)
    case .manifest:
      guard let file = try files.file(record.file, in: transaction) else { return }
      try files.setManifestLocation(copy, of: record.file, file, in: transaction)
    case .commit:
      guard var entry = try files.commit(record.sequence, in: transaction) else { return }
      entry.location = copy
      try files.setCommit(record.sequence, entry, in: transaction)
    default:
      guard var entry = try files.tombstone(of: record.file, in: transaction) else { return }
      entry.location = copy
      try files.setTombstone(record.file, entry, in: transaction)
    }
  }
}

extension PartEntry {
  fileprivate func moved(to location: RecordLocation) -> PartEntry {
    PartEntry(
      segment: location.segment, offset: location.offset, storedByteCount: storedByteCount,
      rawByteCount: rawByteCount, codec: codec, digest: digest)
  }
}
