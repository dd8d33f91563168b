import CommandSupport
import SegmentStore
import StorageIO

/// Where a picture goes: to standard output, or into a file, whole or not at all.
enum PictureTarget: Hashable {
  case standardOutput
  case file(FilePath)

  /// - Parameter path: as the user gave it.
  init(_ path: [UInt8]) throws(CommandError) {
    if path == [UInt8(ascii: "-")] {
      self = .standardOutput
      return
    }
    let file = FilePath(bytes: path)
    guard !file.lastComponent.isEmpty, path.last != UInt8(ascii: "/"), !path.contains(0) else {
      throw CommandError(.wrongUsage, "option '--map': '\(DisplayName.escaped(path))' is not the name of a file")
    }
    self = .file(file)
  }

  func write(_ picture: SegmentPicture, _ output: Output) throws(CommandError) {
    switch self {
    case .standardOutput:
      try PictureTarget.pieces(of: picture) { (piece) throws(CommandError) in try output.results(piece) }
    case .file(let path):
      // A device or a link that is replaced would be missed by others.
      guard PictureTarget.isReplaceable(path) else {
        throw CommandError(.failed, "\(DisplayName.escaped(path.bytes)): is not a regular file")
      }
      do throws(SystemCallFailure) { try PictureTarget.write(picture, to: path) } catch {
        throw CommandError(
          error.isNoSpace ? .noSpace : .failed, DisplayName.escaped("\(error)"))
      }
    }
  }

  /// Whether there is a file at `path`, or nothing that can be seen.
  private static func isReplaceable(_ path: FilePath) -> Bool {
    do throws(SystemCallFailure) {
      return try FileSystem.status(of: path, followingLinks: false).kind == .file
    } catch {
      return true
    }
  }

  private static func write(_ picture: SegmentPicture, to path: FilePath) throws(SystemCallFailure) {
    let directory = try Directory.open(path.parent)
    let digits = try Random.bytes(8).map { String($0, radix: 16) }.joined()
    let temporaryName = Array(".pfs-\(digits).partial".utf8)
    let file = try directory.open(
      temporaryName, [.write, .createNew, .noFollow], mode: 0o644, shownAs: path.lastComponent)
    do throws(SystemCallFailure) {
      var byteCount = 0
      try pieces(of: picture) { (piece) throws(SystemCallFailure) in
        let bytes = Array(piece.utf8)
        try file.write(bytes, at: byteCount)
        byteCount += bytes.count
      }
      try file.sync()
      try directory.rename(temporaryName, to: path.lastComponent, replacing: true)
    } catch {
      // The failure that led here is the one to report.
      do throws(SystemCallFailure) { try directory.removeFile(temporaryName) } catch {}
      throw error
    }
  }

  /// Some lines at a time, so that a large picture is not in memory as a whole.
  private static func pieces<E: Error>(
    of picture: SegmentPicture, _ body: (String) throws(E) -> Void
  ) throws(E) {
    var piece = ""
    try picture.forEachLine { (line) throws(E) in
      piece += line + "\n"
      if piece.utf8.count >= 1 << 16 {
        try body(piece)
        piece = ""
      }
    }
    try body(piece)
  }
}
