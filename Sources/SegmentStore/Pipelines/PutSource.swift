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
  /// Bytes of the caller's, asked for by all workers in parallel.
  case memory(MemorySource)
  /// Bytes that somebody in this process makes one after the other.
  case feed(any ByteFeed)
}

/// Bytes that are made while they are stored, and kept by who makes them until the put takes them.
///
/// The put asks for memory only when it can take whole parts: so it never keeps memory from others while it waits.
public protocol ByteFeed: AnyObject, Sendable {
  /// Waits until `byteCount` bytes are there, or no more come; asks now and then whether to stop.
  func wait(for byteCount: Int, unless isCancelled: () -> Bool)
  /// How many bytes are there, and whether no more come.
  var ready: (byteCount: Int, isLast: Bool) { get }
  /// Takes the next bytes, of those that are there, to the start of the span and as many as it holds.
  func take(into destination: inout MutableRawSpan) throws(StoreError)
  /// Called when all is taken, before it counts.
  /// - Throws: What keeps it from that.
  func checkWhole() throws(StoreError)
}

/// Bytes that somebody has in memory, and that do not change while they are stored.
public struct MemorySource: Sendable {
  public let byteCount: Int
  /// Nanoseconds since 1970; nil: the moment at which they are stored.
  public var modifiedNanoseconds: Int64?
  public var mode: UInt32 = 0o600
  /// Copies a range of the bytes to the start of the span, which has room for just that.
  let read: @Sendable (Range<Int>, inout MutableRawSpan) throws(StoreError) -> Void

  /// - Parameter read: copies a range of the bytes to the start of the span, which has room for just that; called from any
  ///   thread, several at once. It must not wait for an operation of the store.
  public init(
    byteCount: Int, read: @escaping @Sendable (Range<Int>, inout MutableRawSpan) throws(StoreError) -> Void
  ) {
    self.byteCount = byteCount
    self.read = read
  }
}

/// Where the bytes of an open source are.
enum SourceBytes: Sendable {
  case file(File)
  case memory(MemorySource)
  case feed(any ByteFeed)

  /// For what only files have: holes.
  var file: File? {
    if case .file(let file) = self { return file }
    return nil
  }
}

/// A source that was opened: what is known of it before the first byte is read.
struct OpenPutSource: Sendable {
  let bytes: SourceBytes
  /// Of a file, as it was when it was opened.
  private let status: FileStatus?
  private let confirm: @Sendable () throws(StoreError) -> Void

  init(_ source: PutSource) throws(StoreError) {
    switch source {
    case .stream(let stream):
      bytes = .file(stream)
      status = nil
      confirm = {}
    case .memory(let source):
      bytes = .memory(source)
      status = nil
      confirm = {}
    case .feed(let feed):
      bytes = .feed(feed)
      status = nil
      confirm = { () throws(StoreError) in try feed.checkWhole() }
    case .confirmedStream(let stream, let isWhole):
      bytes = .file(stream)
      status = nil
      confirm = isWhole
    case .file(let path):
      confirm = {}
      do throws(SystemCallFailure) {
        // Not blocking: a pipe that nobody writes to must be an error message, not silence.
        let file = try File.open(path, .nonBlocking)
        bytes = .file(file)
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

  /// Nil for a stream, whose size is known at its end.
  var byteCount: Int? {
    if case .memory(let source) = bytes { return source.byteCount }
    return status?.byteCount
  }

  /// Nil where the source has none.
  var modifiedNanoseconds: Int64? {
    if case .memory(let source) = bytes { return source.modifiedNanoseconds }
    return status?.modifiedNanoseconds
  }

  var mode: UInt32 {
    if case .memory(let source) = bytes { return source.mode }
    return status?.mode ?? 0o600
  }

  /// Whether the next batch can be read without waiting for somebody, or at least begun.
  func isReadable(partByteCount: Int) -> Bool {
    guard case .feed(let feed) = bytes else { return true }
    let ready = feed.ready
    return ready.isLast || ready.byteCount >= partByteCount
  }

  /// Waits until a stream has something to read; others always have.
  func waitReadable(partByteCount: Int, _ cancellation: Cancellation) throws(StoreError) {
    if case .feed(let feed) = bytes {
      feed.wait(for: partByteCount) { cancellation.isCancelled }
      try cancellation.check()
    }
    guard byteCount == nil, let file = bytes.file else { return }
    do throws(SystemCallFailure) { _ = try file.waitReadable(unless: { cancellation.isCancelled }) } catch {
      throw StoreError(user: error)
    }
    try cancellation.check()
  }

  /// Throws when a stream does not count, `.sourceChanged` if the file is not as it was when it was opened, and
  /// `.unusableFile` if it holds more than its size says, as files of /proc do.
  func checkWhole() throws(StoreError) {
    guard let before = status, let file = bytes.file else { return try confirm() }
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
