import StorageIO

/// Single files from the disk into the tree and back.
extension StagingFileSystem {
  /// Reads a file, or a pipe to its end, into a file of the tree that is made or replaced; all or nothing.
  /// - Throws: `.io`, and what ``open(_:_:preallocating:lockTimeout:)`` and ``StagingHandle/adopt(_:)`` throw.
  public func importFile(
    _ source: FilePath, as path: StagingPath, lockTimeout: LockTimeout? = nil
  ) throws(StagingError) {
    let file = try translating { () throws(SystemCallFailure) in try File.open(source) }
    let handle = try open(path, .write, lockTimeout: lockTimeout)
    do throws(StagingError) {
      // The buffer is charged too, and so is not larger than what there is room for.
      let byteCount = min(StagingFileSystem.pieceByteCount, max(4096, quota.availableByteCount / 4))
      let charge = try quota.charge(byteCount)
      defer { withExtendedLifetime(charge) {} }
      var bytes = [UInt8](repeating: 0, count: byteCount)
      while true {
        let count = try bytes.withMutableRawSpan { (destination) throws(StagingError) in
          try translating { () throws(SystemCallFailure) in try file.readNext(into: &destination, from: 0) }
        }
        if count == 0 { break }
        try bytes.withRawSpan { (source) throws(StagingError) in try handle.write(source.extracting(0..<count)) }
      }
    } catch {
      handle.discard()
      throw error
    }
    try handle.close()
  }

  private static let pieceByteCount = 256 << 10
}

extension ExportedFile {
  /// Writes the file to the disk: it appears at `target` only when it is whole and durable.
  /// - Parameter replacing: whether a file that is there already goes; otherwise it is `.exists`.
  /// - Throws: `.exists`, `.io`.
  public func write(to target: FilePath, replacing: Bool) throws(StagingError) {
    let directory = try translating { () throws(SystemCallFailure) in try Directory.open(target.parent) }
    let temporaryName = try translating { () throws(SystemCallFailure) in
      Array(".pfs-\(try Random.bytes(8).map { String($0, radix: 16) }.joined()).partial".utf8)
    }
    let file = try translating { () throws(SystemCallFailure) in
      try directory.open(
        temporaryName, [.write, .createNew, .noFollow], mode: 0o644, shownAs: target.lastComponent)
    }
    do throws(StagingError) {
      var offset = 0
      try forEachPiece { (bytes) throws(StagingError) in
        try translating { () throws(SystemCallFailure) in try file.write(bytes, at: offset) }
        offset += bytes.byteCount
      }
      try translating { () throws(SystemCallFailure) in
        try file.setModified(nanoseconds: modifiedNanoseconds)
        try file.sync()
        try directory.rename(temporaryName, to: target.lastComponent, replacing: replacing)
        try directory.sync()
      }
    } catch {
      // The failure that led here is the one to report.
      do throws(SystemCallFailure) { try directory.removeFile(temporaryName) } catch {}
      throw error
    }
  }
}

/// Runs `body`, turning a failed call on a file that the user named into the error of the staging tree.
private func translating<R>(_ body: () throws(SystemCallFailure) -> R) throws(StagingError) -> R {
  do throws(SystemCallFailure) { return try body() } catch {
    throw StagingError(error.isExists ? .exists : .io, "\(error.subject): \(error.reason)")
  }
}
