import StorageIO

/// What a recorded process did to the files below one directory, in one order, as `call_log.c` writes it.
struct CallLog: Sendable {
  /// A number of the recorder's own for a file or directory; never used again for another.
  typealias Object = UInt64

  /// Bytes of a file that a call is about.
  struct Extent: Hashable, Sendable {
    let object: Object
    let offset: Int
    /// `Int.max`: to the end, with the size.
    let byteCount: Int

    var end: Int { byteCount == .max ? .max : offset + byteCount }
  }

  enum Event: Sendable {
    /// Seen for the first time, under `path` relative to the root; `existed` before the process came.
    case object(Object, isDirectory: Bool, existed: Bool, byteCount: Int, path: [UInt8])
    /// A durable one was made with O_DSYNC or O_SYNC.
    case write(Object, offset: Int, bytes: [UInt8], isDurable: Bool)
    /// A page of a shared mapping as it was found.
    case page(Object, number: Int, bytes: [UInt8])
    case size(Object, byteCount: Int)
    /// Punched, or zeroed.
    case zero(Extent)
    case syncBegin(Extent)
    case syncEnd(Extent)
    case link(directory: Object, name: [UInt8], Object)
    case unlink(directory: Object, name: [UInt8])
    case rename(from: Object, [UInt8], to: Object, [UInt8], exchanges: Bool)
    case directorySyncBegin(Object)
    case directorySyncEnd(Object)
    /// What the workload says of itself.
    case mark(String)
    /// Nothing that changes what a crash leaves: a call that failed, a seam, the start of a process.
    case note(String)
  }

  let events: [Event]

  private static let headerByteCount = 8

  init(events: [Event]) { self.events = events }

  init(decoding bytes: [UInt8]) throws(BenchFailure) {
    let reader = ByteReader(bytes)
    var events: [Event] = []
    var offset = 0
    while offset < bytes.count {
      guard offset + CallLog.headerByteCount <= bytes.count else { throw CallLog.damaged(offset, "a torn header") }
      let byteCount = Int(reader.get(offset, as: UInt32.self))
      guard byteCount >= CallLog.headerByteCount, byteCount <= bytes.count - offset else {
        throw CallLog.damaged(offset, "an event of \(byteCount) bytes, \(bytes.count - offset) are there")
      }
      var fields = Fields(reader: reader, offset: offset + CallLog.headerByteCount, end: offset + byteCount)
      events.append(try CallLog.event(kind: bytes[offset + 4], &fields))
      offset += byteCount
    }
    self.events = events
  }

  private static func damaged(_ offset: Int, _ what: String) -> BenchFailure {
    BenchFailure(.failed, "the log of calls is damaged at offset \(offset): \(what)")
  }

  /// The numbers of an event one after another, and the bytes behind them.
  private struct Fields {
    let reader: ByteReader
    var offset: Int
    let end: Int

    mutating func number() throws(BenchFailure) -> UInt64 {
      guard end - offset >= 8 else { throw CallLog.damaged(offset, "an event that is too short") }
      defer { offset += 8 }
      return reader.get(offset)
    }

    mutating func count() throws(BenchFailure) -> Int { Int(clamping: try number()) }

    mutating func extent() throws(BenchFailure) -> Extent {
      Extent(object: try number(), offset: try count(), byteCount: try count())
    }

    func rest() -> [UInt8] { reader.get(offset, byteCount: end - offset) }
    func text() -> String { String(decoding: rest(), as: UTF8.self) }
  }

  private static func event(kind: UInt8, _ fields: inout Fields) throws(BenchFailure) -> Event {
    switch kind {
    case 1:
      let (object, isDirectory, existed) = (try fields.number(), try fields.number(), try fields.number())
      return .object(
        object, isDirectory: isDirectory != 0, existed: existed != 0, byteCount: try fields.count(),
        path: fields.rest())
    case 2:
      let (object, offset, flags) = (try fields.number(), try fields.count(), try fields.number())
      return .write(object, offset: offset, bytes: fields.rest(), isDurable: flags & 1 != 0)
    case 3:
      let (object, number) = (try fields.number(), try fields.count())
      return .page(object, number: number, bytes: fields.rest())
    case 4: return .size(try fields.number(), byteCount: try fields.count())
    case 5: return .zero(try fields.extent())
    case 6: return .syncBegin(try fields.extent())
    case 7: return .syncEnd(try fields.extent())
    case 8:
      let (directory, object) = (try fields.number(), try fields.number())
      return .link(directory: directory, name: fields.rest(), object)
    case 9:
      let directory = try fields.number()
      return .unlink(directory: directory, name: fields.rest())
    case 10:
      let (from, to, flags) = (try fields.number(), try fields.number(), try fields.number())
      let names = fields.rest().split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
      guard names.count == 2 else { throw damaged(fields.offset, "a rename without two names") }
      return .rename(from: from, Array(names[0]), to: to, Array(names[1]), exchanges: flags & 1 != 0)
    case 11: return .directorySyncBegin(try fields.number())
    case 12: return .directorySyncEnd(try fields.number())
    case 13: return .mark(fields.text().split(separator: "\n").joined(separator: " "))
    case 14, 16: return .note(fields.text())
    case 15:
      let object = try fields.number()
      return .note("failed: \(fields.text()) of object \(object)")
    default: throw damaged(fields.offset, "an event of kind \(kind)")
    }
  }
}
