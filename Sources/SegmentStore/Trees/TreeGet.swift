import StorageIO

extension Store {
  /// Restores the newest version of every ready file whose name begins with `prefix` and a slash into `directory`,
  /// the prefix stripped; directories are made as needed.
  ///
  /// Several files at a time. A name that leads out of `directory` (absolute, with `..`, over a symbolic link) is
  /// reported as a failure and not written; so is a file that is damaged; the others go on.
  /// - Parameters:
  ///   - options: for each of the files.
  ///   - onRestored, onFailed: called from any thread, several at once; `onRestored` with what a get that salvages could
  ///     not restore exactly.
  /// - Throws: What stops the whole: `.notFound` when no name begins so, the directory cannot be made, `.cancelled`,
  ///   `.noSpace`; files restored until then stay.
  public func getTree(
    _ prefix: FileName, into directory: FilePath, replacing: Bool, _ options: GetOptions = GetOptions(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in },
    onRestored: @escaping @Sendable (StoredFile, LossReport) -> Void,
    onFailed: @escaping @Sendable (StoredFile, StoreError) -> Void
  ) throws(StoreError) -> TreeResult {
    let below = prefix.bytes.last == slash ? prefix.bytes : prefix.bytes + [slash]
    if try newestFiles(namePrefix: below, limit: 1).isEmpty {
      throw StoreError(.notFound, "no file below '\(prefix)/'")
    }
    let root: Directory
    do throws(SystemCallFailure) {
      try FileSystem.makeDirectories(directory, mode: 0o755)
      root = try Directory.open(directory)
    } catch {
      throw StoreError(user: error)
    }
    return try ParallelFiles<StoredFile>(cancellation: cancellation).run(
      produce: { (handOver: (StoredFile) throws(StoreError) -> Void) throws(StoreError) in
        var last: FileName?
        while true {
          let page = try newestFiles(namePrefix: below, after: last, limit: 256)
          for file in page { try handOver(file) }
          guard let end = page.last else { return }
          last = end.name
        }
      },
      work: { (file: StoredFile) throws(StoreError) in
        let (parent, name) = try TreePath(file.name.bytes.dropFirst(below.count)).make(below: root)
        let report = try self.get(
          file.id, to: .entry(name, in: parent, replacing: replacing), options, cancellation: cancellation,
          progress: progress)
        onRestored(file, report)
      },
      failed: { (file, error) in onFailed(file, error) })
  }
}

private let slash = UInt8(ascii: "/")
