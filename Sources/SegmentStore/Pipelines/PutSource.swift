import StorageIO

/// Where the bytes of a put come from.
public enum PutSource: Sendable {
  /// A regular file, read by all workers in parallel; it must not change meanwhile.
  case file(FilePath)
  /// A pipe or a file from where it stands to its end, read in order.
  case stream(File)
  /// A stream that is stored only if `isWhole`, called at its end, does not throw: the output of a program, which counts
  /// when the program has succeeded.
  case confirmedStream(File, isWhole: @Sendable () throws(StoreError) -> Void)
}

/// A source that was opened: what is known of it before the first byte is read.
struct OpenPutSource: Sendable {
  let file: File
  /// Nil for a stream, whose size is known at its end.
  let status: FileStatus?
  private let confirm: @Sendable () throws(StoreError) -> Void

  init(_ source: PutSource) throws(StoreError) {
    switch source {
    case .stream(let stream):
      file = stream
      status = nil
      confirm = {}
    case .confirmedStream(let stream, let isWhole):
      file = stream
      status = nil
      confirm = isWhole
    case .file(let path):
      confirm = {}
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

  /// Waits until a stream has something to read; a file always has.
  func waitReadable(_ cancellation: Cancellation) throws(StoreError) {
    guard status == nil else { return }
    do throws(SystemCallFailure) { _ = try file.waitReadable(unless: { cancellation.isCancelled }) } catch {
      throw StoreError(user: error)
    }
    try cancellation.check()
  }

  /// Throws when a stream does not count, `.sourceChanged` if the file is not as it was when it was opened, and `.unusableFile` if it holds more than
  /// its size says, as files of /proc do.
  func checkWhole() throws(StoreError) {
    guard let before = status else { return try confirm() }
    let after: FileStatus
    let rest: [UInt8]
    do throws(SystemCallFailure) {
      after = try file.status()
      rest = try file.bytes(at: before.byteCount, byteCount: 1)
    } catch {
      throw StoreError(user: error)
    }
    if after == before && !rest.isEmpty {
      throw StoreError(
        .unusableFile, "'\(file.path)': holds more than the \(before.byteCount) bytes that its size says",
        advice: "store what comes out of it: cat FILE | pfs put - --name NAME")
    }
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
