import StorageIO

extension Store {
  /// Deletes every file below `prefix`, a slash between, in all versions: several at a time, so that they share commits.
  ///
  /// Each file is deleted for itself; one that cannot be, because somebody reads it for example, is reported as a
  /// failure, and the others go on.
  /// - Parameters:
  ///   - onDeleted, onFailed: called from any thread, several at once.
  /// - Throws: What stops the whole: `.cancelled`, `.noSpace`, `.durabilityUnknown`, `.indexDamaged`; files deleted
  ///   until then are gone.
  public func deleteTree(
    _ prefix: FileName, cancellation: Cancellation = Cancellation(),
    onDeleted: @escaping @Sendable (StoredFile) -> Void, onFailed: @escaping @Sendable (StoredFile, StoreError) -> Void
  ) throws(StoreError) -> TreeResult {
    try ParallelFiles<StoredFile>(cancellation: cancellation).run(
      produce: { (handOver: (StoredFile) throws(StoreError) -> Void) throws(StoreError) in
        try self.forEachFile(below: prefix, handOver)
      },
      work: { (file: StoredFile) throws(StoreError) in
        try self.delete(file.id, cancellation: cancellation)
        onDeleted(file)
      },
      failed: onFailed)
  }

  /// Calls `body` with every file below `prefix`, a slash between, in all versions, in order of names. By the page, so
  /// that memory does not grow with their number.
  public func forEachFile(
    below prefix: FileName, _ body: (StoredFile) throws(StoreError) -> Void
  ) throws(StoreError) {
    let below = prefix.bytes + [UInt8(ascii: "/")]
    var last: FileName?
    while true {
      let page = try newestFiles(namePrefix: below, after: last, limit: namePageCount)
      guard let end = page.last else { return }
      for newest in page {
        for file in try files(named: newest.name) { try body(file) }
      }
      last = end.name
    }
  }
}

private let namePageCount = 256
