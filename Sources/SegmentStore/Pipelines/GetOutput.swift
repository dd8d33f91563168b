import StorageIO

/// A file that is being written where nobody sees it, until it is published or dropped.
///
/// It has no name until then; where the file system cannot do that, it has a hidden one, which goes with it. One that
/// is to be gone on with after an interruption has a hidden name that stays: see `PartialFile`.
final class OutputFile: Sendable {
  let file: File
  /// Whether an earlier get has begun it.
  let isResumed: Bool
  private let isPartial: Bool
  private let directory: Directory
  private let name: [UInt8]
  private let replaces: Bool
  private let temporaryName: [UInt8]?

  init(_ name: [UInt8], in directory: Directory, replacing: Bool) throws(SystemCallFailure) {
    self.directory = directory
    self.name = name
    replaces = replacing
    isResumed = false
    isPartial = false
    do throws(SystemCallFailure) {
      file = try directory.open([UInt8(ascii: ".")], [.write, .unnamed], shownAs: name)
      temporaryName = nil
    } catch  where error.hasNoUnnamedFiles {
      let temporaryName = try OutputFile.temporaryName()
      file = try directory.open(temporaryName, [.write, .createNew, .noFollow], shownAs: name)
      self.temporaryName = temporaryName
    }
  }

  /// The partial file `file`, which has the name `partialName` and is locked.
  init(
    _ name: [UInt8], in directory: Directory, replacing: Bool, partial file: File, named partialName: [UInt8],
    isResumed: Bool
  ) {
    self.directory = directory
    self.name = name
    self.file = file
    self.isResumed = isResumed
    replaces = replacing
    isPartial = true
    temporaryName = partialName
  }

  /// Gives the file its size and attributes and, when it is durable, its name.
  func publish(byteCount: Int, mode: UInt32, modifiedNanoseconds: Int64) throws(SystemCallFailure) {
    // The label of a partial file goes only when the long wait for the device is over.
    if isPartial { try file.sync() }
    try file.truncate(to: byteCount)
    // Set-user-id and its kin are not for bytes that came from elsewhere.
    try file.setMode(mode & 0o777)
    try file.setModified(nanoseconds: modifiedNanoseconds)
    try file.sync()
    if let temporaryName {
      try directory.rename(temporaryName, to: name, replacing: replaces)
    } else if replaces {
      let temporaryName = try OutputFile.temporaryName()
      try file.publish(under: temporaryName, in: directory)
      do throws(SystemCallFailure) {
        try directory.rename(temporaryName, to: name, replacing: true)
      } catch {
        try directory.removeFile(temporaryName)
        throw error
      }
    } else {
      try file.publish(under: name, in: directory)
    }
    try directory.sync()
    try unlock()
  }

  /// Leaves nothing behind, but for a partial file that is worth it; to be called when the file is not published.
  func drop(keepsPartial: Bool) {
    // The failure that led here is the one to report.
    do throws(SystemCallFailure) {
      if let temporaryName, !(isPartial && keepsPartial) { try directory.removeFile(temporaryName) }
      try unlock()
    } catch {}
  }

  /// At once, so that the next get finds it free: a worker may hold the file for a moment longer.
  private func unlock() throws(SystemCallFailure) {
    if isPartial { try file.unlock() }
  }

  private static func temporaryName() throws(SystemCallFailure) -> [UInt8] {
    let digits = try Random.bytes(8).map { String($0, radix: 16) }.joined()
    return Array(".pfs-\(digits).partial".utf8)
  }
}
