/// A file as it was at one moment, outside of the tree.
///
/// Shares its bytes with the tree: they are charged once, and as long as somebody has them. So an export takes of the quota
/// what the tree lets go of meanwhile.
public struct ExportedFile: Sendable {
  public let path: StagingPath
  public let createdNanoseconds: Int64
  public let modifiedNanoseconds: Int64
  public let generation: Int
  private let content: StagedContent
  private let quota: StagingQuota

  init(_ path: StagingPath, _ state: StagedFile.State, _ content: StagedContent, _ quota: StagingQuota) {
    self.path = path
    createdNanoseconds = state.createdNanoseconds
    modifiedNanoseconds = state.modifiedNanoseconds
    generation = state.generation
    self.content = content
    self.quota = quota
  }

  public var byteCount: Int { content.byteCount }
  var overflowed: OverflowedFile? { content.overflowed }

  /// Lends the bytes of `range`, or all, piece by piece and without a copy; they cannot outlive the call of `body`.
  public func forEachPiece(
    in range: Range<Int>? = nil, _ body: (RawSpan) throws(StagingError) -> Void
  ) throws(StagingError) {
    try content.forEachPiece(in: (range ?? 0..<byteCount).clamped(to: 0..<byteCount), body)
  }

  /// Copies the bytes of `range` to the start of `destination`.
  /// - Throws: `.invalidArgument` for a range that the file has not, or that is longer than `destination`.
  public func copy(_ range: Range<Int>, into destination: inout MutableRawSpan) throws(StagingError) {
    guard range.lowerBound >= 0, range.upperBound <= byteCount, range.count <= destination.byteCount else {
      throw StagingError(
        .invalidArgument,
        "'\(path)': bytes \(range) of \(byteCount) are wanted, in \(destination.byteCount) bytes")
    }
    try content.copy(range, into: &destination)
  }

  /// All bytes in one array. Where they are not in just one already a copy is made, which must fit the quota beside them while
  /// it is made; the array itself is the caller's, who may keep it.
  /// - Throws: `.quotaExceeded`.
  public func bytes() throws(StagingError) -> [UInt8] {
    if content.isOneArray { return try content.bytes(0..<byteCount) }
    let charge = try quota.charge(byteCount)
    defer { withExtendedLifetime(charge) {} }
    return try content.bytes(0..<byteCount)
  }
}

/// The files of a tree one by one, each as it is when it is asked for; those that have gone meanwhile are left out.
public struct ExportSequence: Sendable {
  private let fileSystem: StagingFileSystem
  private let lockTimeout: LockTimeout?
  private let mark: StagingFileSystem.Mark?
  private var paths: ArraySlice<StagingPath>

  init(
    _ fileSystem: StagingFileSystem, _ paths: [StagingPath], changedSince mark: StagingFileSystem.Mark?,
    _ lockTimeout: LockTimeout?
  ) {
    self.fileSystem = fileSystem
    self.paths = paths[...]
    self.mark = mark
    self.lockTimeout = lockTimeout
  }

  /// The next file; nil when there is none.
  /// - Throws: `.lockTimeout`, `.quotaExceeded`: the next call goes on behind that file.
  public mutating func next() throws(StagingError) -> ExportedFile? {
    while let path = paths.popFirst() {
      do throws(StagingError) {
        // It may have become a directory.
        guard fileSystem.isFile(path) else { continue }
        let found = try fileSystem.exportTree(path, changedSince: mark, lockTimeout: lockTimeout)
        if let file = found.first, file.path == path { return file }
      } catch  where error.code == .notFound {}
    }
    return nil
  }
}

extension StagingFileSystem {
  /// A file as it is now. Waits until nobody writes to it.
  /// - Throws: `.notFound`, `.isDirectory`, `.lockTimeout`, `.quotaExceeded`, `.badPath`.
  public func export(_ path: StagingPath, lockTimeout: LockTimeout? = nil) throws(StagingError) -> ExportedFile {
    try change(lockTimeout) { (tree, held) throws(TreeFailure) in
      let file = try failing { () throws(StagingError) in try tree.file(path) }
      try file.checkFree(for: .read, held, path)
      return try failing { () throws(StagingError) in try exported(file, path) }
    }
  }

  /// All files at and below `path` as they are at one moment, in order of their paths; or those only that were changed since
  /// `mark`. Waits until nobody writes to any of them, and keeps nobody else waiting meanwhile.
  /// - Throws: `.notFound`, `.lockTimeout`, `.quotaExceeded`, `.badPath`.
  /// - Complexity: O(files and pieces); no bytes are copied.
  public func exportTree(
    _ path: StagingPath = .root, changedSince mark: Mark? = nil, lockTimeout: LockTimeout? = nil
  ) throws(StagingError) -> [ExportedFile] {
    try files(path, changedSince: mark, lockTimeout, isCharged: true)
  }

  /// As ``exportTree(_:changedSince:lockTimeout:)`` for a moment only: what the tree changes meanwhile is charged, the lists of
  /// pieces that are then there twice are not. So it works when the quota is used up.
  func snapshot(_ path: StagingPath, lockTimeout: LockTimeout) throws(StagingError) -> [ExportedFile] {
    try files(path, changedSince: nil, lockTimeout, isCharged: false)
  }

  private func files(
    _ path: StagingPath, changedSince mark: Mark?, _ lockTimeout: LockTimeout?, isCharged: Bool
  ) throws(StagingError) -> [ExportedFile] {
    try change(lockTimeout) { (tree, held) throws(TreeFailure) in
      let top = try failing { () throws(StagingError) in try tree.existing(path) }
      var found: [(StagedFile, StagingPath)] = []
      try tree.forEach(from: top, at: path) { (entry, path) throws(TreeFailure) in
        guard let file = entry.file else { return }
        try file.checkFree(for: .read, held, path)
        if let mark, file.withState({ $0.changeNumber <= mark.changeNumber }) { return }
        found.append((file, path))
      }
      return try failing { () throws(StagingError) in
        var files: [ExportedFile] = []
        for (file, path) in found { files.append(try exported(file, path, isCharged: isCharged)) }
        return files
      }
    }
  }

  /// The files at and below `path` one by one: for trees of which not all is wanted at once.
  /// - Throws: `.notFound`, `.badPath`.
  public func exportSequence(
    _ path: StagingPath = .root, changedSince mark: Mark? = nil, lockTimeout: LockTimeout? = nil
  ) throws(StagingError) -> ExportSequence {
    let paths = try look { (tree) throws(StagingError) in
      var paths: [StagingPath] = []
      let top = try tree.existing(path)
      tree.forEach(from: top, at: path) { (entry, path) in if !entry.isDirectory { paths.append(path) } }
      return paths
    }
    return ExportSequence(self, paths, changedSince: mark, lockTimeout)
  }

  private func exported(
    _ file: StagedFile, _ path: StagingPath, isCharged: Bool = true
  ) throws(StagingError) -> ExportedFile {
    try file.withState { (state) throws(StagingError) in
      ExportedFile(path, state, isCharged ? try state.content.shared(quota) : state.content, quota)
    }
  }

  /// Makes files of arrays, which are taken over without a copy, and the directories on the way: all or none. What is in
  /// files that are there already is replaced; of two with the same path the last counts. The files then count as
  /// unchanged: generation 0.
  /// - Throws: `.isDirectory`, `.isNotDirectory`, `.badPath`, `.lockTimeout`, `.quotaExceeded`, `.nodeLimitExceeded`,
  ///   `.memoryShortage`: nothing has changed. Old and new content must fit the quota together.
  public func importTree(
    _ files: [(path: StagingPath, bytes: [UInt8])], lockTimeout: LockTimeout? = nil
  ) throws(StagingError) {
    try memory.checkWrite(files.reduce(0) { $0 + $1.bytes.count })
    var contents: [(path: StagingPath, content: StagedContent)] = []
    for (path, bytes) in files {
      var content = StagedContent()
      try content.adopt(bytes, quota)
      contents.append((path, content))
    }
    try insert(contents, lockTimeout)
  }

  /// Puts contents that are charged already into the tree, all or none.
  func insert(
    _ contents: [(path: StagingPath, content: StagedContent)], _ lockTimeout: LockTimeout?
  ) throws(StagingError) {
    let replaced = try change(lockTimeout) { (tree, held) throws(TreeFailure) -> [StagedContent] in
      var plan = ImportPlan()
      for (path, content) in contents {
        let existing = try failing { () throws(StagingError) in try plan.add(path, content, tree) }
        try existing?.checkFree(for: .write, held, path)
      }
      return try failing { () throws(StagingError) in try plan.apply(to: tree, nextChangeNumber()) }
    }
    for var content in replaced { content.recycle(quota) }
  }
}

/// What an import is going to do to a tree: looked at as a whole before anything is done.
private struct ImportPlan {
  private var replaced: [StagingPath: (file: StagedFile, content: StagedContent)] = [:]
  private var new: [StagingPath: StagedContent] = [:]
  private var newDirectories: Set<StagingPath> = []

  /// - Returns: The file that is there already.
  mutating func add(
    _ path: StagingPath, _ content: StagedContent, _ tree: StagingTree
  ) throws(StagingError) -> StagedFile? {
    try path.check()
    if let entry = tree.find(path) {
      guard let file = entry.file else { throw StagingError(.isDirectory, "'\(path)': is a directory") }
      replaced[path] = (file, content)
      return file
    }
    if newDirectories.contains(path) { throw StagingError(.isDirectory, "'\(path)': is to be a directory") }
    new[path] = content
    var above = path.parent
    while !newDirectories.contains(above) {
      if new[above] != nil { throw StagingError(.isNotDirectory, "'\(above)': is to be a file") }
      if let entry = tree.find(above) {
        guard entry.isDirectory else { throw StagingError(.isNotDirectory, "'\(above)': is a file") }
        break
      }
      newDirectories.insert(above)
      above = above.parent
    }
    return nil
  }

  /// - Returns: What was replaced, to be let go of outside of the lock.
  func apply(to tree: StagingTree, _ changeNumber: UInt64) throws(StagingError) -> [StagedContent] {
    try tree.checkRoom(for: new.count + newDirectories.count)
    var made: [StagingPath: TreeEntry] = [:]
    for path in newDirectories { made[path] = try tree.make(.directory, path.lastComponent) }
    for (path, content) in new {
      made[path] = try tree.make(.file(StagedFile(content, changeNumber: changeNumber)), path.lastComponent)
    }
    // From here on nothing fails. Shorter paths first: a directory before what is in it.
    for (path, entry) in made.sorted(by: { $0.key.bytes.count < $1.key.bytes.count }) {
      guard let parent = tree.find(path.parent) else { preconditionFailure("'\(path)' has no directory") }
      tree.add(entry, to: parent)
    }
    return replaced.values.map { (file, content) in
      file.withState { state in
        defer { state.replace(content, changeNumber) }
        return state.content
      }
    }
  }
}
