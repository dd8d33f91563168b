import StorageIO

extension Store {
  /// Deletes every file below `prefix`, a slash between, in all versions, as ``delete(_:cancellation:produce:onDeleted:onFailed:)``.
  public func deleteTree(
    _ prefix: FileName, _ options: DeleteOptions = DeleteOptions(), cancellation: Cancellation = Cancellation(),
    onDeleted: @escaping (StoredFile) -> Void, onFailed: @escaping (StoredFile, StoreError) -> Void
  ) throws(StoreError) -> TreeResult {
    try delete(
      options, cancellation: cancellation,
      produce: { (handOver: (StoredFile) throws(StoreError) -> Void) throws(StoreError) in
        try self.forEachFile(below: prefix, handOver)
      }, onDeleted: onDeleted, onFailed: onFailed)
  }

  /// Calls `body` with every file below `prefix`, a slash between, in all versions, in order of names. By the page, so
  /// that memory does not grow with their number.
  public func forEachFile(
    below prefix: FileName, _ body: (StoredFile) throws(StoreError) -> Void
  ) throws(StoreError) {
    let below = prefix.bytes + [UInt8(ascii: "/")]
    let index = try index
    var last: StoredFile?
    while true {
      var page: [StoredFile] = []
      try index.read { (transaction) throws(StoreError) in
        if last == nil { try index.checkSums(of: Index.tablesOfFiles, in: transaction) }
        try index.files.forEachVersion(namePrefix: below, after: last.map { ($0.name, $0.id) }, in: transaction) {
          (id, entry) in
          page.append(StoredFile(id, entry))
          return page.count < pageFileCount
        }
      }
      for file in page { try body(file) }
      guard page.count == pageFileCount else { return }
      last = page.last
    }
  }
}

private let pageFileCount = 256
