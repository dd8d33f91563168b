/// For tests of code that uses a staging tree.
extension StagingFileSystem {
  /// Makes an empty tree for the time of `body`, and looks at it at the end.
  /// - Throws: What `body` throws; `.lockTimeout`, which names a file that was left open; `.invalidArgument` when something of
  ///   what the tree has let go of is still kept: an export, most often.
  public static func withTemporary<R>(
    quota: Int = 64 << 20, maximumNodeCount: Int? = nil, storage: StagingStorage = .automatic,
    _ body: (StagingFileSystem) throws -> R
  ) throws -> R {
    let fileSystem = try StagingFileSystem(
      quota: quota, maximumNodeCount: maximumNodeCount, defaultLockTimeout: .zero, storage: storage)
    let emptyByteCount = fileSystem.quota.usedByteCount
    let result = try body(fileSystem)
    try fileSystem.removeTree(.root)
    let keptByteCount = fileSystem.quota.usedByteCount - emptyByteCount
    if keptByteCount > 0 {
      throw StagingError(.invalidArgument, "\(keptByteCount) bytes of the tree are still kept by somebody")
    }
    return result
  }
}
