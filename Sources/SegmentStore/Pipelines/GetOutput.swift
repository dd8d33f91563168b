import StorageIO

/// Where the bytes of a get go.
public enum GetTarget: Sendable {
  /// A file that appears under its name only when it is whole and verified.
  case file(FilePath, replacing: Bool)
  /// A file `name` in an open directory, otherwise as `file`; for trees.
  case entry([UInt8], in: Directory, replacing: Bool)
  /// A pipe or terminal: bytes in order, each part verified before it is written.
  case stream(File)
}

/// A file that is being written where nobody sees it, until it is published or dropped.
///
/// It has no name until then; where the file system cannot do that, it has a hidden one, which goes with it.
final class OutputFile: Sendable {
  let file: File
  private let directory: Directory
  private let name: [UInt8]
  private let replaces: Bool
  private let temporaryName: [UInt8]?
  private let path: FilePath

  init(_ name: [UInt8], in directory: Directory, replacing: Bool) throws(SystemCallFailure) {
    self.directory = directory
    self.name = name
    replaces = replacing
    path = directory.path.appending(name)
    do throws(SystemCallFailure) {
      file = try directory.open([UInt8(ascii: ".")], [.write, .unnamed], shownAs: name)
      temporaryName = nil
    } catch  where error.isNotSupported || error.errorNumber == isDirectory {
      let temporaryName = try OutputFile.temporaryName()
      file = try directory.open(temporaryName, [.write, .createNew, .noFollow], shownAs: name)
      self.temporaryName = temporaryName
    }
  }

  /// Gives the file its attributes and, when it is durable, its name.
  func publish(mode: UInt32, modifiedNanoseconds: Int64) throws(SystemCallFailure) {
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
  }

  /// Leaves nothing behind; to be called when the file is not published.
  func drop() {
    guard let temporaryName else { return }
    // The failure that led here is the one to report.
    do throws(SystemCallFailure) { try directory.removeFile(temporaryName) } catch {}
  }

  private static func temporaryName() throws(SystemCallFailure) -> [UInt8] {
    let digits = try Random.bytes(8).map { String($0, radix: 16) }.joined()
    return Array(".pfs-\(digits).partial".utf8)
  }
}

/// EISDIR: what open(2) says of O_TMPFILE where the kernel or file system does not know it.
private let isDirectory: Int32 = 21
