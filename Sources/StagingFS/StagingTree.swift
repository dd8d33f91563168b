import StorageIO

/// The tree of names. Its one lock is held for looking and linking, never while anybody waits or bytes are copied.
final class StagingTree {
  let root: TreeEntry
  private(set) var fileCount = 0
  private(set) var directoryCount = 0
  private let maximumNodeCount: Int
  private let quota: StagingQuota

  init(maximumNodeCount: Int?, _ quota: StagingQuota) throws(StagingError) {
    root = try TreeEntry(.directory, name: [], quota)
    self.maximumNodeCount = maximumNodeCount ?? Int.max
    self.quota = quota
  }

  deinit {
    quota.dropKept(isLast: true)
    StagingTree.dissolve(root, quota)
  }

  // MARK: Looking

  func find(_ path: StagingPath) -> TreeEntry? { findPlace(path).entry }

  /// What has this path, and what it would be in: nil if that is not there, or `path` is the root.
  func findPlace(_ path: StagingPath) -> (entry: TreeEntry?, parent: TreeEntry?) {
    let bytes = path.bytes
    if bytes.count == 1 { return (root, nil) }
    var parent = root
    var start = 1
    while true {
      var end = start
      while end < bytes.count, bytes[end] != StagingPath.slash { end += 1 }
      let child = parent.child(bytes, start..<end)
      guard end < bytes.count else { return (child, parent) }
      guard let child else { return (nil, nil) }
      parent = child
      start = end + 1
    }
  }

  /// The place of a file, which may have been moved since it had that path; nil when it has left the tree.
  func place(of file: StagedFile, before path: StagingPath) -> (entry: TreeEntry, path: StagingPath)? {
    if let entry = find(path), entry.file == file { return (entry, path) }
    var found: (TreeEntry, StagingPath)?
    forEach(from: root, at: .root) { (entry, path) in if entry.file == file { found = (entry, path) } }
    return found
  }

  func existing(_ path: StagingPath) throws(StagingError) -> TreeEntry {
    try path.check()
    guard let entry = find(path) else { throw StagingError(.notFound, "'\(path)': nothing has this path") }
    return entry
  }

  func file(_ path: StagingPath) throws(StagingError) -> StagedFile {
    guard let file = try existing(path).file else { throw StagingError(.isDirectory, "'\(path)': is a directory") }
    return file
  }

  func directory(_ path: StagingPath) throws(StagingError) -> TreeEntry {
    let entry = try existing(path)
    guard entry.isDirectory else { throw StagingError(.isNotDirectory, "'\(path)': is a file") }
    return entry
  }

  /// The directory in which `path` is or could be made.
  func parent(of path: StagingPath) throws(StagingError) -> TreeEntry {
    try path.check()
    guard let entry = find(path.parent) else {
      throw StagingError(.notFound, "'\(path)': there is no directory '\(path.parent)'")
    }
    guard entry.isDirectory else { throw StagingError(.isNotDirectory, "'\(path)': '\(path.parent)' is a file") }
    return entry
  }

  func checkAbsent(_ path: StagingPath) throws(StagingError) {
    if find(path) != nil { throw StagingError(.exists, "'\(path)': is there already") }
  }

  /// Calls `body` with `entry` and all below it, each directory before what is in it and all in order of names.
  func forEach<E: Error>(
    from entry: TreeEntry, at path: StagingPath, _ body: (TreeEntry, StagingPath) throws(E) -> Void
  ) throws(E) {
    var stack = [(entry, path)]
    while let (entry, path) = stack.popLast() {
      try body(entry, path)
      guard entry.childCount > 0 else { continue }
      let prefix = path.isRoot ? [] : path.bytes
      for child in entry.sortedChildren.reversed() {
        stack.append((child, StagingPath(normal: prefix + [StagingPath.slash] + child.name)))
      }
    }
  }

  // MARK: Changing

  /// Makes an entry, not yet in its place.
  func make(_ kind: TreeEntry.Kind, _ name: [UInt8]) throws(StagingError) -> TreeEntry {
    try TreeEntry(kind, name: name, quota)
  }

  /// Whether so many entries may be added.
  func checkRoom(for count: Int) throws(StagingError) {
    let used = fileCount + directoryCount
    guard count <= maximumNodeCount - used else {
      throw StagingError(
        .nodeLimitExceeded, requested: count, available: max(0, maximumNodeCount - used),
        "the limit is \(maximumNodeCount) files and directories; there are \(used), and \(count) more were wanted")
    }
  }

  /// Puts an entry, with all below it, into a directory that has none of its name.
  func add(_ entry: TreeEntry, to parent: TreeEntry) {
    parent.add(entry)
    count(entry, 1)
  }

  /// Takes an entry out with all below it. What it holds goes with the last reference to it, outside of the lock.
  func remove(_ entry: TreeEntry) -> RemovedEntries {
    entry.parent?.remove(entry)
    count(entry, -1)
    return RemovedEntries(top: entry, quota)
  }

  /// Puts an entry elsewhere, or to another name, which changes no count; all or nothing.
  /// - Parameter makingParents: whether directories on the way are made.
  func move(_ entry: TreeEntry, to path: StagingPath, makingParents: Bool) throws(StagingError) {
    // What can fail is done before anything is made.
    let charge = try TreeEntry.nameCharge(path.lastComponent, quota)
    let parent = makingParents ? try makeDirectories(path.parent) : try self.parent(of: path)
    entry.parent?.remove(entry)
    entry.rename(to: path.lastComponent, charge)
    parent.add(entry)
  }

  /// Throws when something in a directory would have a path elsewhere that is none.
  func checkPaths(below top: TreeEntry, at path: StagingPath, as newPath: StagingPath) throws(StagingError) {
    let addedByteCount = newPath.bytes.count - path.bytes.count
    if addedByteCount <= 0 { return }
    try forEach(from: top, at: path) { (_, path) throws(StagingError) in
      guard path.bytes.count > StagingPath.maximumByteCount - addedByteCount else { return }
      throw StagingError(
        .badPath, "'\(path)': would have a path of more than \(StagingPath.maximumByteCount) bytes in '\(newPath)'")
    }
  }

  /// Makes the directories on the way to `path`, and it, that are missing; all or none.
  /// - Returns: The directory of that path.
  func makeDirectories(_ path: StagingPath) throws(StagingError) -> TreeEntry {
    try path.check()
    var missing: [[UInt8]] = []
    var above = path
    while find(above) == nil {
      missing.append(above.lastComponent)
      above = above.parent
    }
    var parent = try directory(above)
    if missing.isEmpty { return parent }
    try checkRoom(for: missing.count)
    var made: [TreeEntry] = []
    for name in missing.reversed() { made.append(try make(.directory, name)) }
    for entry in made {
      add(entry, to: parent)
      parent = entry
    }
    return parent
  }

  private func count(_ top: TreeEntry, _ sign: Int) {
    var stack = [top]
    while let entry = stack.popLast() {
      if entry.isDirectory { directoryCount += sign } else { fileCount += sign }
      if entry.childCount > 0 { stack += entry.sortedChildren }
    }
  }

  fileprivate static func dissolve(_ top: TreeEntry, _ quota: StagingQuota) {
    var stack = [top]
    while let entry = stack.popLast() {
      if let file = entry.file {
        var content = file.withState { $0.takeContent() }
        content.recycle(quota)
      }
      if entry.childCount > 0 { stack += entry.releaseChildren() }
    }
  }
}

/// What was taken out of a tree. Its end takes as long as it is large, so it belongs outside of the lock.
final class RemovedEntries {
  private let top: TreeEntry
  private let quota: StagingQuota

  init(top: TreeEntry, _ quota: StagingQuota) {
    self.top = top
    self.quota = quota
  }

  deinit { StagingTree.dissolve(top, quota) }
}

/// Why a change of the tree could not be made.
enum TreeFailure: Error {
  case failed(StagingError)
  /// Somebody has a file open that has to be free for this; nothing was changed.
  case busy(StagedFile, StagedFile.Access, StagingPath)
}
