import StorageIO

/// How files are deleted.
public struct DeleteOptions: Hashable, Sendable {
  /// False: the call returns as soon as the files are gone for good, and their space comes back behind it.
  public var waitsForSpace = true

  public init() {}
}

extension Store {
  /// Deletes a file. On return it is gone for good, and its space given back where the file system can.
  ///
  /// Waits for the readers of this file, at most the lock timeout. Works on a full disk. A file whose put was interrupted
  /// and waits to be gone on with can be deleted, too.
  /// - Throws: `.notFound`, `.busy`, `.cancelled`, `.noSpace`, `.io`.
  public func delete(
    _ id: FileID, _ options: DeleteOptions = DeleteOptions(), cancellation: Cancellation = Cancellation()
  ) throws(StoreError) {
    let file = StoredFile(id, try deletableEntry(id))
    let failure = Monitor<StoreError?>(nil)
    _ = try delete(
      options, cancellation: cancellation,
      produce: { (handOver: (StoredFile) throws(StoreError) -> Void) throws(StoreError) in try handOver(file) },
      onFailed: { _, error in failure.withLock { $0 = error } })
    if let error = failure.withLock({ $0 }) { throw error }
  }

  /// Deletes the files that `produce` hands to its argument, many of them in one transaction. Each one is deleted for itself:
  /// one that is not there, or that somebody reads until the lock timeout is over, fails, and the others go on.
  ///
  /// Memory does not grow with their number. What is deleted when an error is thrown stays deleted.
  /// - Parameters:
  ///   - onDeleted: told each file that is gone for good, by then durably; on the calling thread, as is `onFailed`.
  /// - Throws: What stops the whole: `.cancelled`, `.noSpace`, `.durabilityUnknown`, `.indexDamaged`.
  public func delete(
    _ options: DeleteOptions = DeleteOptions(), cancellation: Cancellation = Cancellation(),
    produce: (_ handOver: (StoredFile) throws(StoreError) -> Void) throws(StoreError) -> Void,
    onDeleted: @escaping (StoredFile) -> Void = { _ in }, onFailed: @escaping (StoredFile, StoreError) -> Void
  ) throws(StoreError) -> TreeResult {
    let deletion = Deletion(self, cancellation, onDeleted: onDeleted, onFailed: onFailed)
    do throws(StoreError) {
      try produce(deletion.add)
      try deletion.finish()
    } catch {
      try deletion.giveSpaceBack(options)
      throw error
    }
    try deletion.giveSpaceBack(options)
    return deletion.result
  }

  /// Waits for the space of files that were deleted without waiting for it.
  public func waitForSpace() { spaceThread.wait() }
}
