/// Making, moving, copying and removing.
///
/// What is open: a file or directory may be renamed or moved at any time, also while files in it are open; a handle goes with
/// its file, and no bytes are touched. What is to be removed, copied or replaced must be free: the call waits for
/// whoever has it open, and when the time is over nothing has happened.
extension StagingFileSystem {
  /// Makes a directory.
  /// - Parameters:
  ///   - makingParents: Also those above it that are missing; all or none.
  ///   - mayExist: Whether one that is there already will do.
  /// - Throws: `.exists`, `.notFound`, `.isNotDirectory`, `.badPath`, `.quotaExceeded`, `.nodeLimitExceeded`.
  public func makeDirectory(
    _ path: StagingPath, makingParents: Bool = false, mayExist: Bool = false
  ) throws(StagingError) {
    try look { (tree) throws(StagingError) in
      try path.check()
      if let entry = tree.find(path) {
        guard mayExist else { throw StagingError(.exists, "'\(path)': is there already") }
        guard entry.isDirectory else { throw StagingError(.isNotDirectory, "'\(path)': is a file") }
        return
      }
      if makingParents {
        _ = try tree.makeDirectories(path)
      } else {
        let parent = try tree.parent(of: path)
        try tree.checkRoom(for: 1)
        tree.add(try tree.make(.directory, path.lastComponent), to: parent)
      }
    }
  }

  /// Gives a file or directory another path, in a directory that is there. Waits for nobody.
  /// - Throws: `.notFound`, `.exists`, `.isNotDirectory`; `.badPath`, also for what would then be too long below it;
  ///   `.quotaExceeded` for a long name; `.invalidArgument` for the root, and for a path below the one that is renamed.
  /// - Complexity: O(1), and O(what is in it) when the path gets longer.
  public func rename(_ path: StagingPath, to newPath: StagingPath) throws(StagingError) {
    try move(path, to: newPath, makingParents: false)
  }

  /// As ``rename(_:to:)``, and makes the directories on the way to the new path that are missing.
  public func move(_ path: StagingPath, to newPath: StagingPath) throws(StagingError) {
    try move(path, to: newPath, makingParents: true)
  }

  private func move(
    _ path: StagingPath, to newPath: StagingPath, makingParents: Bool
  ) throws(StagingError) {
    try look { (tree) throws(StagingError) in
      let entry = try tree.existing(path)
      try newPath.check()
      if path.isRoot { throw StagingError(.invalidArgument, "the root cannot be renamed") }
      if path == newPath { return }
      if newPath.isWithin(path) {
        throw StagingError(.invalidArgument, "'\(path)' cannot be renamed to '\(newPath)', which is within itself")
      }
      try tree.checkAbsent(newPath)
      try tree.checkPaths(below: entry, at: path, as: newPath)
      if overflow != nil { try checkInMemory(entry, path, tree) }
      try tree.move(entry, to: newPath, makingParents: makingParents)
    }
  }

  /// Throws when a file is in the store, under a name that it would then not have.
  private func checkInMemory(
    _ top: TreeEntry, _ path: StagingPath, _ tree: StagingTree
  ) throws(StagingError) {
    try tree.forEach(from: top, at: path) { (entry, path) throws(StagingError) in
      guard let file = entry.file, file.withState({ $0.isOverflowing || $0.content.overflowed != nil }) else {
        return
      }
      throw StagingError(.invalidArgument, "'\(path)': has overflowed into the store, where its name is fixed")
    }
  }

  /// Removes a file. Waits until nobody has it open.
  /// - Throws: `.notFound`, `.isDirectory`, `.lockTimeout`, `.badPath`.
  public func remove(_ path: StagingPath, lockTimeout: LockTimeout? = nil) throws(StagingError) {
    let removed = try change(lockTimeout) { (tree, held) throws(TreeFailure) in
      let file = try failing { () throws(StagingError) in try tree.file(path) }
      try file.checkFree(for: .write, held, path)
      file.withState { $0.isRemoved = true }
      return tree.find(path).map(tree.remove)
    }
    withExtendedLifetime(removed) {}
  }

  /// Removes a directory and all that is in it, or nothing. Waits until nobody has any of its files open. The root stays, and
  /// loses what is in it.
  /// - Throws: `.notFound`, `.isNotDirectory`, `.lockTimeout`, `.badPath`.
  /// - Complexity: O(what is in it).
  public func removeTree(_ path: StagingPath, lockTimeout: LockTimeout? = nil) throws(StagingError) {
    let removed = try change(lockTimeout) { (tree, held) throws(TreeFailure) in
      let top = try failing { () throws(StagingError) in try tree.directory(path) }
      var files: [StagedFile] = []
      try tree.forEach(from: top, at: path) { (entry, path) throws(TreeFailure) in
        guard let file = entry.file else { return }
        try file.checkFree(for: .write, held, path)
        files.append(file)
      }
      for file in files { file.withState { $0.isRemoved = true } }
      return path.isRoot ? top.sortedChildren.map(tree.remove) : [tree.remove(top)]
    }
    withExtendedLifetime(removed) {}
  }

  /// Copies a file. The copy shares the bytes with it, charged once, until one of the two is changed.
  ///
  /// Waits until nobody writes to it. A failed copy leaves nothing.
  /// - Throws: `.notFound`, `.isDirectory`, `.exists`, `.lockTimeout`, `.quotaExceeded`, `.nodeLimitExceeded`, `.badPath`.
  public func copy(
    _ path: StagingPath, to newPath: StagingPath, lockTimeout: LockTimeout? = nil
  ) throws(StagingError) {
    try change(lockTimeout) { (tree, held) throws(TreeFailure) in
      let (file, parent) = try failing { () throws(StagingError) in
        let file = try tree.file(path)
        let parent = try tree.parent(of: newPath)
        try tree.checkAbsent(newPath)
        try tree.checkRoom(for: 1)
        return (file, parent)
      }
      try file.checkFree(for: .read, held, path)
      try failing { () throws(StagingError) in
        tree.add(try copy(of: file, named: newPath.lastComponent, tree), to: parent)
      }
    }
  }

  /// Copies a directory with all that is in it to a path that is free, or nothing. As ``copy(_:to:lockTimeout:)``.
  /// - Throws: As that; `.isNotDirectory`; `.invalidArgument` for a path below the one that is copied.
  public func copyTree(
    _ path: StagingPath, to newPath: StagingPath, lockTimeout: LockTimeout? = nil
  ) throws(StagingError) {
    try change(lockTimeout) { (tree, held) throws(TreeFailure) in
      let (top, parent) = try failing { () throws(StagingError) in
        let top = try tree.directory(path)
        let parent = try tree.parent(of: newPath)
        if newPath.isWithin(path) {
          throw StagingError(.invalidArgument, "'\(path)' cannot be copied to '\(newPath)', which is within itself")
        }
        try tree.checkAbsent(newPath)
        try tree.checkPaths(below: top, at: path, as: newPath)
        return (top, parent)
      }
      var count = 0
      try tree.forEach(from: top, at: path) { (entry, path) throws(TreeFailure) in
        count += 1
        if let file = entry.file { try file.checkFree(for: .read, held, path) }
      }
      try failing { () throws(StagingError) in
        try tree.checkRoom(for: count)
        tree.add(try copy(of: top, at: path, named: newPath.lastComponent, tree), to: parent)
      }
    }
  }

  /// A copy of a directory and what is in it, that has no place yet.
  private func copy(
    of top: TreeEntry, at path: StagingPath, named name: [UInt8], _ tree: StagingTree
  ) throws(StagingError) -> TreeEntry {
    let result = try tree.make(.directory, name)
    // If this fails half-way, what was made goes with `result`.
    var made: [StagingPath: TreeEntry] = [path: result]
    try tree.forEach(from: top, at: path) { (entry, entryPath) throws(StagingError) in
      if entry === top { return }
      let copy =
        if let file = entry.file { try copy(of: file, named: entry.name, tree) } else {
          try tree.make(.directory, entry.name)
        }
      made[entryPath.parent]?.add(copy)
      if copy.isDirectory { made[entryPath] = copy }
    }
    return result
  }

  private func copy(
    of file: StagedFile, named name: [UInt8], _ tree: StagingTree
  ) throws(StagingError) -> TreeEntry {
    let content = try file.withState { (state) throws(StagingError) in
      if state.content.overflowed != nil {
        throw StagingError(.invalidArgument, "a file that has overflowed into the store cannot be copied")
      }
      return try state.content.shared(quota)
    }
    return try tree.make(.file(StagedFile(content, changeNumber: nextChangeNumber())), name)
  }
}
