import StorageIO

/// Where the bytes of a put come from.
public enum PutSource: Sendable {
  /// A regular file, read by all workers in parallel; it must not change meanwhile.
  case file(FilePath)
  /// A pipe or a file from where it stands to its end, read in order.
  case stream(File)
}

/// A source that was opened: what is known of it before the first byte is read.
struct OpenPutSource: Sendable {
  let file: File
  /// Nil for a stream, whose size is known at its end.
  let status: FileStatus?

  init(_ source: PutSource) throws(StoreError) {
    switch source {
    case .stream(let stream):
      file = stream
      status = nil
    case .file(let path):
      do throws(SystemCallFailure) {
        // Not blocking: a pipe that nobody writes to must be an error message, not silence.
        file = try File.open(path, .nonBlocking)
        status = try file.status()
      } catch {
        throw StoreError(user: error)
      }
      switch status?.kind {
      case .file: break
      case .directory:
        throw StoreError(.unusableFile, "'\(path)': is a directory", advice: "store what is in it with -r")
      default:
        throw StoreError(
          .unusableFile, "'\(path)': is not a regular file", advice: "to store what comes out of a pipe, use 'put -'")
      }
    }
  }

  /// Throws `.sourceChanged` if the file is not as it was when it was opened.
  func checkUnchanged() throws(StoreError) {
    guard let before = status else { return }
    let after: FileStatus
    do throws(SystemCallFailure) { after = try file.status() } catch { throw StoreError(user: error) }
    guard after.byteCount == before.byteCount, after.modifiedNanoseconds == before.modifiedNanoseconds,
      after.changedNanoseconds == before.changedNanoseconds
    else { throw OpenPutSource.changed(file) }
  }

  static func changed(_ file: File) -> StoreError {
    StoreError(
      .sourceChanged, "'\(file.path)': changed while it was read; nothing was stored",
      advice: "store it again when nobody writes to it")
  }
}
