import StorageIO

/// What a file is opened for.
public enum OpenMode: Hashable, Sendable {
  /// Reading a file that is there.
  case read
  /// Writing a file from nothing: what is written replaces the old content when the handle is closed, and not before. If a
  /// write fails, or the handle is discarded, the old content stays, or there is no file if there was none.
  case write
  /// Writing at the end, of a file that is made if there is none.
  case append
  /// Reading and writing in place, of a file that is there.
  case readWrite
  /// As ``write``, of a file that must not be there.
  case createNew

  var access: StagedFile.Access { self == .read ? .read : .write }
  var makesFile: Bool { self == .write || self == .append || self == .createNew }
  var replaces: Bool { self == .write || self == .createNew }
  /// Whether the bytes that are there are changed in place.
  var takesContent: Bool { self == .append || self == .readWrite }
}

/// An open file: a position, and the lock of the file until it is closed.
///
/// Belongs to one thread or task at a time. One that goes without ``close()`` is discarded.
public final class StagingHandle {
  /// Where ``seek(to:from:)`` counts from.
  public enum Origin: Hashable, Sendable {
    case start, position, end
  }

  public let path: StagingPath
  public let mode: OpenMode
  /// The byte that the next read or write begins with, from 0.
  public private(set) var position = 0
  public private(set) var isOpen = true

  private let fileSystem: StagingFileSystem
  private let file: StagedFile
  private let isNew: Bool
  private var content: StagedContent
  private var changeCount = 0
  /// Of a file for which there is no room in memory: what takes its bytes.
  private var overflowPut: OverflowPut?
  /// Of a handle that replaces: the write that failed.
  private var failure: StagingError?

  init(
    _ fileSystem: StagingFileSystem, _ file: StagedFile, _ path: StagingPath, _ mode: OpenMode,
    _ content: StagedContent, isNew: Bool
  ) {
    self.fileSystem = fileSystem
    self.file = file
    self.path = path
    self.mode = mode
    self.content = content
    self.isNew = isNew
  }

  deinit { discard() }

  public var isReadable: Bool { mode == .read || mode == .readWrite }
  public var isWritable: Bool { mode != .read }
  /// The size of the file as this handle sees it.
  public var byteCount: Int { (overflowPut?.byteCount ?? 0) + content.byteCount }

  // MARK: Reading

  /// The next `count` bytes, or fewer at the end; all that is left for nil. No copy is made of a piece that was written as a
  /// whole and is read as a whole.
  public func read(_ count: Int? = nil) throws(StagingError) -> [UInt8] {
    let bytes = try content.bytes(try next(count))
    position += bytes.count
    return bytes
  }

  /// Copies the next bytes to the start of `destination`, as many as there are or it holds.
  /// - Returns: How many; 0 at the end.
  public func read(into destination: inout MutableRawSpan) throws(StagingError) -> Int {
    let range = try next(destination.byteCount)
    try content.copy(range, into: &destination)
    position = range.upperBound
    return range.count
  }

  /// Copies the next bytes over those of `destination`, as many as there are or it has.
  /// - Returns: How many; 0 at the end.
  public func read(into destination: inout [UInt8]) throws(StagingError) -> Int {
    try destination.withMutableRawSpan { (bytes) throws(StagingError) in try read(into: &bytes) }
  }

  /// Lends the next `count` bytes, or all that is left, piece by piece and without a copy; they cannot outlive the call of
  /// `body`.
  public func readPieces(
    _ count: Int? = nil, _ body: (RawSpan) throws(StagingError) -> Void
  ) throws(StagingError) {
    let range = try next(count)
    try content.forEachPiece(in: range, body)
    position = range.upperBound
  }

  private func next(_ count: Int?) throws(StagingError) -> Range<Int> {
    try check(isReadable, "reading")
    if let count, count < 0 { throw StagingError(.invalidArgument, "'\(path)': \(count) bytes wanted") }
    let start = min(position, content.byteCount)
    return start..<(start + min(count ?? Int.max, content.byteCount - start))
  }

  // MARK: Writing

  /// Copies `bytes` to the position, over what is there and on behind the end; zeros fill what lies before a position behind
  /// it. All of them are written or, when this throws, none.
  /// - Throws: `.quotaExceeded`, `.memoryShortage`, `.wrongMode`. A handle that replaces takes nothing more after it: the
  ///   old content stays.
  public func write(_ bytes: RawSpan) throws(StagingError) {
    try change("write", byteCount: bytes.byteCount) { () throws(StagingError) in
      if mode == .append { position = content.byteCount }
      if fileSystem.storage == .sequential || overflowPut != nil { try checkAtEnd("a sequential file takes bytes") }
      let (end, overflows) = position.addingReportingOverflow(bytes.byteCount)
      if overflows { throw StagingError(.invalidArgument, "'\(path)': no file has a byte \(position)") }
      try overflowing(bytes) { () throws(StagingError) in
        try content.write(bytes, at: position, fileSystem.storage, fileSystem.quota)
      }
      position = end
    }
  }

  public func write(_ bytes: [UInt8]) throws(StagingError) {
    try bytes.withRawSpan { (bytes) throws(StagingError) in try write(bytes) }
  }

  /// Takes `bytes` over without a copy, at the end of the file. They are charged as a whole; whoever changes the array
  /// afterwards changes a copy.
  /// - Throws: As ``write(_:)-(RawSpan)``; `.wrongMode` when the position is not at the end.
  public func adopt(_ bytes: [UInt8]) throws(StagingError) {
    try change("write", byteCount: bytes.count) { () throws(StagingError) in
      if mode == .append { position = content.byteCount }
      try checkAtEnd("bytes are taken over")
      try bytes.withRawSpan { (span) throws(StagingError) in
        try overflowing(span) { () throws(StagingError) in
          try content.adopt(bytes, fileSystem.quota)
        }
      }
      position += bytes.count
    }
  }

  /// Adds bytes at the position by `inMemory`; or, where the quota has no room and the tree may, hands all that the file
  /// has to the store.
  private func overflowing(
    _ bytes: RawSpan, _ inMemory: () throws(StagingError) -> Void
  ) throws(StagingError) {
    if let overflowPut { return try overflowPut.add(bytes) }
    do throws(StagingError) {
      try inMemory()
    } catch {
      guard error.code == .quotaExceeded, mode.replaces, position == content.byteCount,
        let overflow = fileSystem.overflow
      else { throw error }
      let put = try OverflowPut(overflow, fileSystem.beginOverflow(of: file, path), fileSystem.quota)
      overflowPut = put
      try put.add(content)
      content = StagedContent()
      try put.add(bytes)
    }
  }

  private func checkAtEnd(_ what: String) throws(StagingError) {
    guard position == byteCount else {
      throw StagingError(.wrongMode, "'\(path)': \(what) at the end, \(byteCount), and not at \(position)")
    }
  }

  /// Cuts the file off at `newByteCount`, or fills it up with zeros to there; nil: at the position. A position behind
  /// the end goes to the end.
  public func truncate(to newByteCount: Int? = nil) throws(StagingError) {
    let target = newByteCount ?? position
    guard target >= 0 else { throw StagingError(.invalidArgument, "'\(path)': a size of \(target) bytes") }
    try change("truncate", byteCount: max(0, target - byteCount)) { () throws(StagingError) in
      if target == byteCount { return }
      if overflowPut != nil { throw StagingError(.wrongMode, "'\(path)': is on its way to the store") }
      try content.truncate(to: target, fileSystem.quota)
    }
    position = min(position, target)
  }

  func preallocating(_ byteCount: Int) throws(StagingError) -> StagingHandle {
    guard byteCount > content.byteCount else { return self }
    do throws(StagingError) {
      try change("preallocate", byteCount: byteCount) { () throws(StagingError) in
        if fileSystem.storage == .sequential || mode == .append {
          try content.reserve(byteCount, fileSystem.quota)
        } else {
          try content.truncate(to: byteCount, fileSystem.quota)
        }
      }
    } catch {
      end(keeping: !mode.replaces && !isNew)
      throw error
    }
    return self
  }

  private func change(
    _ what: String, byteCount: Int, _ body: () throws(StagingError) -> Void
  ) throws(StagingError) {
    try check(isWritable, what)
    if let failure { throw failure }
    do throws(StagingError) {
      try fileSystem.memory.checkWrite(byteCount)
      try body()
      changeCount += 1
    } catch {
      if mode.replaces && error.code != .wrongMode { failure = error }
      throw error
    }
  }

  // MARK: Position and end

  /// Sets the position; behind the end is allowed.
  /// - Returns: The position from the start.
  @discardableResult
  public func seek(to offset: Int, from origin: Origin = .start) throws(StagingError) -> Int {
    try check(true, "seek")
    let base =
      switch origin {
      case .start: 0
      case .position: position
      case .end: byteCount
      }
    let (target, overflows) = base.addingReportingOverflow(offset)
    guard !overflows, target >= 0 else {
      throw StagingError(.invalidArgument, "'\(path)': no position is \(offset) from \(base)")
    }
    position = target
    return target
  }

  /// Shows the size and date of what was written in place so far to ``StagingFileSystem/status(_:)``; the bytes are shown to
  /// nobody before the handle is closed.
  public func flush() throws(StagingError) {
    try check(true, "flush")
    guard mode.takesContent, changeCount > 0 else { return }
    let byteCount = content.byteCount
    file.withState { state in
      state.visibleByteCount = byteCount
      state.modifiedNanoseconds = Clock.wallNanoseconds()
    }
  }

  /// Ends the use of the file and lets others in; a second call does nothing. What was written is now what the file has.
  /// - Throws: What a write of a handle that replaces has thrown: then the old content stays.
  public func close() throws(StagingError) {
    guard isOpen else { return }
    if failure == nil, let overflowPut {
      do throws(StagingError) {
        content = StagedContent(overflowed: try overflowPut.finish())
        self.overflowPut = nil
      } catch {
        failure = error
      }
    }
    if let failure {
      discard()
      throw failure
    }
    end(keeping: true)
  }

  /// Ends the use of the file, and leaves it as it was if the handle replaces. What was written in place stays.
  public func discard() {
    overflowPut?.abort()
    overflowPut = nil
    end(keeping: !mode.replaces)
  }

  private func end(keeping isKept: Bool) {
    guard isOpen else { return }
    isOpen = false
    if isNew && !isKept { fileSystem.takeBack(file, path) }
    // The end of the old content, or of ours, may take long: outside of the lock.
    var dropped = content
    content = StagedContent()
    let (mode, isNew, changeCount, fileSystem) = (mode, isNew, changeCount, fileSystem)
    file.leave(mode.access) { state in
      if mode == .read { return }
      state.isOverflowing = false
      guard isKept else { return }
      swap(&state.content, &dropped)
      state.visibleByteCount = state.content.byteCount
      guard changeCount > 0 || mode.replaces || isNew else { return }
      state.changeNumber = fileSystem.nextChangeNumber()
      guard changeCount > 0 || !isNew else { return }
      state.generation += max(1, changeCount)
      state.modifiedNanoseconds = Clock.wallNanoseconds()
    }
    if mode != .read { dropped.recycle(fileSystem.quota) }
  }

  private func check(_ isAllowed: Bool, _ what: String) throws(StagingError) {
    guard isOpen else { throw StagingError(.wrongMode, "'\(path)': the handle is closed") }
    guard isAllowed else { throw StagingError(.wrongMode, "'\(path)': opened for \(mode), not for \(what)") }
  }
}
