import SegmentStore
import StorageIO

/// What a commit does about files that somebody is writing.
public enum OpenWriters: Hashable, Sendable {
  /// `.lockTimeout`, which names one of them.
  case areRefused
  /// They are waited for.
  case areWaitedFor(LockTimeout)

  var lockTimeout: LockTimeout {
    switch self {
    case .areRefused: .zero
    case .areWaitedFor(let timeout): timeout
    }
  }
}

/// From the tree into a store and back.
extension StagingFileSystem {
  /// Stores all files at and below `path`, as they are at one moment, and makes them visible in the store in one atomic
  /// step: whoever looks at the store, also after the process was killed, finds all of them or none.
  ///
  /// On return they are durable. Each is stored under `prefix`, a slash and its path below `path`; where a name is
  /// there already, it has a new version. Directories that have no file in them are not stored. The tree stays as it is, and may be
  /// changed meanwhile: what is committed is what it was. The bytes are streamed; the store's memory limit holds.
  /// - Parameters:
  ///   - prefix: the root for no prefix.
  ///   - progress: told the bytes of each part as it is stored, from any thread.
  /// - Returns: The ids of the stored files.
  /// - Throws: `.lockTimeout`, `.notFound`; `.store` with what ``PutGroup`` throws: then nothing is stored, but for
  ///   `.durabilityUnknown`, after which the next open of the store shows all or none.
  @discardableResult
  public func commit(
    into store: Store, under prefix: StagingPath = .root, from path: StagingPath = .root,
    writers: OpenWriters = .areRefused, options: PutOptions = PutOptions(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(StagingError) -> [FileID] {
    try prefix.check()
    let files = try snapshot(path, lockTimeout: writers.lockTimeout)
    // What has overflowed stays in the store as long as somebody has it.
    defer { withExtendedLifetime(files) {} }
    var sources: [(source: PutSource, name: FileName)] = []
    var overflowed: Set<FileID> = []
    for file in files {
      let name = StagingFileSystem.name(of: file.path, below: path, under: prefix)
      if let stored = file.overflowed {
        // Published now, if it was not by an earlier commit.
        overflowed.insert(try stored.id(in: store, name, file.path))
        continue
      }
      sources.append((.memory(file.source), try translating { () throws(StoreError) in try FileName(name) }))
    }
    let group = store.beginGroup()
    do throws(StoreError) {
      try group.put(all: sources, options, cancellation: cancellation, progress: progress)
      guard let overflow else { return try group.publish(cancellation: cancellation) }
      return try group.publish(with: overflow.group, overflowed, cancellation: cancellation)
    } catch {
      // Whether it is stored, the next open shows.
      if error.code != .durabilityUnknown { group.rollBack() }
      throw StagingError(error)
    }
  }

  /// Makes files of the newest versions of all files in the store below `prefix`, or of all, under `path` and with the
  /// prefix stripped: all or none. Files that are there already are replaced.
  ///
  /// Each is loaded as it is when it comes to it; one that is deleted meanwhile is an error.
  /// - Returns: How many there were.
  /// - Throws: `.quotaExceeded` and what ``importTree(_:lockTimeout:)`` throws; `.badPath` for a name that is no path here, one with
  ///   `..` for example; `.store` with what ``Store/get(_:to:_:cancellation:progress:)`` throws.
  @discardableResult
  public func load(
    from store: Store, under prefix: StagingPath = .root, into path: StagingPath = .root,
    lockTimeout: LockTimeout? = nil, cancellation: Cancellation = Cancellation()
  ) throws(StagingError) -> Int {
    try prefix.check()
    try path.check()
    let stem = prefix.isRoot ? [] : Array(prefix.bytes.dropFirst()) + [StagingPath.slash]
    var contents: [(path: StagingPath, content: StagedContent)] = []
    var last: FileName?
    while true {
      let page = try translating { () throws(StoreError) in
        try store.newestFiles(namePrefix: stem, after: last, limit: StagingFileSystem.pageFileCount)
      }
      for file in page {
        let target = try StagingFileSystem.path(of: file.name, below: stem, in: path)
        contents.append((target, try content(of: file, in: store, cancellation)))
      }
      guard let end = page.last else { break }
      last = end.name
    }
    try insert(contents, lockTimeout)
    return contents.count
  }

  private static let pageFileCount = 256

  static func name(of path: StagingPath, below top: StagingPath, under prefix: StagingPath) -> [UInt8] {
    // A file that is committed by itself keeps its last component.
    let relative =
      path == top ? path.lastComponent : Array(path.bytes.dropFirst(top.isRoot ? 1 : top.bytes.count + 1))
    return prefix.isRoot ? relative : prefix.bytes.dropFirst() + [StagingPath.slash] + relative
  }

  /// The place of a stored file, whose name must be a path as it is: two names must not become one path.
  private static func path(
    of name: FileName, below stem: [UInt8], in top: StagingPath
  ) throws(StagingError) -> StagingPath {
    let relative = Array(name.bytes.dropFirst(stem.count))
    let path = StagingPath(bytes: relative)
    try path.check()
    guard path.bytes == [StagingPath.slash] + relative else {
      throw StagingError(.badPath, "'\(path)': the store has a file whose name is no path: '\(name)'")
    }
    let whole = StagingPath(bytes: (top.isRoot ? [] : top.bytes) + path.bytes)
    try whole.check()
    return whole
  }

  /// The bytes of a stored file, charged before they are asked for.
  private func content(
    of file: StoredFile, in store: Store, _ cancellation: Cancellation
  ) throws(StagingError) -> StagedContent {
    try memory.checkWrite(file.byteCount)
    let (quota, storage) = (quota, storage)
    let loaded = Monitor<(content: StagedContent, failure: StagingError?)>((StagedContent(), nil))
    try loaded.withLock { (loaded) throws(StagingError) in try loaded.content.reserve(file.byteCount, quota) }
    do throws(StoreError) {
      try store.get(
        file.id,
        to: .receiver { (bytes) throws(StoreError) in
          let isDone = loaded.withLock { loaded in
            do throws(StagingError) {
              try loaded.content.write(bytes, at: loaded.content.byteCount, storage, quota)
              return true
            } catch {
              loaded.failure = error
              return false
            }
          }
          if !isDone { throw StoreError(.cancelled, "the staging tree has no room") }
        }, cancellation: cancellation)
    } catch {
      throw loaded.withLock { $0.failure } ?? StagingError(error)
    }
    return loaded.withLock { $0.content }
  }
}

extension ExportedFile {
  /// The bytes for a put. No pieces are left out, so a copy of what the file has cannot fail.
  fileprivate var source: MemorySource {
    let file = self
    var source = MemorySource(byteCount: byteCount) { (range, destination) throws(StoreError) in
      do throws(StagingError) { try file.copy(range, into: &destination) } catch {
        throw StoreError(.io, "'\(file.path)': \(error)")
      }
    }
    source.modifiedNanoseconds = modifiedNanoseconds
    return source
  }
}
