import CommandSupport

/// Looking at the tree. Waits for nobody: a file that is being written shows what it was.
extension StagingFileSystem {
  /// A directory that a walk came to.
  public struct WalkedDirectory: Hashable, Sendable {
    public let path: StagingPath
    /// In order of their bytes, as the files.
    public let directoryNames: [[UInt8]]
    public let fileNames: [[UInt8]]
  }

  public func exists(_ path: StagingPath) -> Bool { kind(path) != nil }
  public func isFile(_ path: StagingPath) -> Bool { kind(path) == false }
  public func isDirectory(_ path: StagingPath) -> Bool { kind(path) == true }

  /// Whether `path` is a directory; nil if nothing has it, or it is no path.
  private func kind(_ path: StagingPath) -> Bool? {
    do throws(StagingError) {
      return try look { (tree) throws(StagingError) in try tree.existing(path).isDirectory }
    } catch {
      return nil
    }
  }

  /// The names in a directory, in order of their bytes.
  /// - Throws: `.notFound`, `.isNotDirectory`, `.badPath`.
  public func list(_ path: StagingPath = .root) throws(StagingError) -> [[UInt8]] {
    try look { (tree) throws(StagingError) in try tree.directory(path).sortedChildren.map(\.name) }
  }

  /// The same as text; bytes that are not UTF-8 are replaced.
  public func listNames(_ path: StagingPath = .root) throws(StagingError) -> [String] {
    try list(path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// - Throws: `.notFound`, `.badPath`.
  public func status(_ path: StagingPath) throws(StagingError) -> Status {
    try look { (tree) throws(StagingError) in
      let entry = try tree.existing(path)
      guard let file = entry.file else {
        return Status(
          isDirectory: true, byteCount: 0, createdNanoseconds: entry.createdNanoseconds,
          modifiedNanoseconds: entry.modifiedNanoseconds, generation: 0)
      }
      return file.withState { state in
        Status(
          isDirectory: false, byteCount: state.visibleByteCount, createdNanoseconds: state.createdNanoseconds,
          modifiedNanoseconds: state.modifiedNanoseconds, generation: state.generation)
      }
    }
  }

  /// The size of a file, as ``status(_:)`` has it.
  /// - Throws: `.notFound`, `.isDirectory`, `.badPath`.
  public func byteCount(of path: StagingPath) throws(StagingError) -> Int {
    try look { (tree) throws(StagingError) in try tree.file(path) }.withState { $0.visibleByteCount }
  }

  /// Gives memory back to the system that nothing is in: pieces of files that were removed are kept for the next, inside
  /// the quota and uncounted, until the tree goes or the quota has no other room.
  public func releaseFreeMemory() { quota.dropKept() }

  public func statistics() -> Statistics {
    var result = Statistics()
    do throws(StagingError) {
      try look { (tree) in
        result.fileCount = tree.fileCount
        result.directoryCount = tree.directoryCount
      }
    } catch {}
    result.quotaByteCount = quota.limitByteCount
    result.usedByteCount = quota.usedByteCount
    result.chunkCount = quota.chunkCount
    result.overheadPerChunkByteCount = StagedContent.pieceOverheadByteCount
    result.overheadPerNodeByteCount = TreeEntry.overheadByteCount
    return result
  }

  /// All directories from `path` down, each before what is in it, in order of names: as they are at this moment.
  /// - Throws: `.notFound`, `.isNotDirectory`, `.badPath`.
  /// - Complexity: O(what is below), under the lock of the tree.
  public func walk(_ path: StagingPath = .root) throws(StagingError) -> [WalkedDirectory] {
    try look { (tree) throws(StagingError) in
      var found: [WalkedDirectory] = []
      try tree.forEach(from: try tree.directory(path), at: path) { (entry, path) throws(StagingError) in
        guard entry.isDirectory else { return }
        let children = entry.sortedChildren
        found.append(
          WalkedDirectory(
            path: path, directoryNames: children.filter(\.isDirectory).map(\.name),
            fileNames: children.filter { !$0.isDirectory }.map(\.name)))
      }
      return found
    }
  }

  /// The paths that a pattern matches, in order: `*` is any run of bytes within a component, `?` one character, `[a-z]` one of a
  /// set and `[!a-z]` one outside of it, `**` any run with the `/`s in it, and `**/` any number of directories, none included.
  /// - Throws: `.badPath` for a set that does not end.
  /// - Complexity: O(what is in the tree), with the lock of the tree for the list of paths alone.
  public func glob(_ pattern: String) throws(StagingError) -> [StagingPath] {
    let bytes = Array(pattern.utf8)
    let matcher: Glob
    do throws(UsageError) {
      matcher = try Glob(bytes.first == StagingPath.slash ? bytes : [StagingPath.slash] + bytes)
    } catch {
      throw StagingError(.badPath, error.message)
    }
    let paths = try look { (tree) throws(StagingError) in
      var paths: [StagingPath] = []
      tree.forEach(from: tree.root, at: .root) { (_, path) in if !path.isRoot { paths.append(path) } }
      return paths
    }
    return paths.filter { matcher.matches($0.bytes) }
  }
}
