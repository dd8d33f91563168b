import CommandSupport
import Console
import SegmentStore
import StorageIO

/// The file of `verify --state`: how far the segments of a store have been checked.
final class VerifyState {
  private let path: FilePath
  private let store: String
  private(set) var position: VerificationPosition
  private var savedSeconds = MonotonicClock.seconds()
  private var failure: CommandError?

  private static let intervalSeconds = 1.0
  private static let firstLine = "pfs verify state 1"
  private static let byteCountLimit = 4096

  /// Reads the file; one that is not there stands for the beginning.
  /// - Parameter store: the uuid of the store.
  init(_ path: FilePath, store: String) throws(CommandError) {
    self.path = path
    self.store = store
    position = .start
    let shown = DisplayName.escaped(path.bytes)
    let bytes: [UInt8]
    do throws(ConsoleFailure) {
      bytes = try ConsoleFile.read(path: path.bytes, limit: VerifyState.byteCountLimit)
    } catch  where error.code == .noSuchFile {
      return
    } catch {
      throw CommandError(error)
    }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { String($0) }
    guard lines.count == 4, lines[0] == VerifyState.firstLine, let segment = UInt64(lines[2]),
      let offset = Int(lines[3]), offset >= 0
    else {
      throw CommandError(.wrongUsage, "'\(shown)' is no state of a verification", advice: "name another --state")
    }
    guard lines[1] == store else {
      throw CommandError(
        .wrongUsage, "'\(shown)' is of store \(lines[1]), this one is \(store)", advice: "name another --state")
    }
    position = VerificationPosition(segment: SegmentID(rawValue: segment), offset: offset)
  }

  /// Remembers a position, and writes it now and then, so that little is done again after a crash.
  func note(_ position: VerificationPosition) {
    self.position = position
    guard failure == nil, MonotonicClock.seconds() - savedSeconds >= VerifyState.intervalSeconds else { return }
    do throws(CommandError) { try save() } catch { failure = error }
  }

  /// Writes the position, whole or not at all.
  func save() throws(CommandError) {
    if let failure { throw failure }
    savedSeconds = MonotonicClock.seconds()
    let text = "\(VerifyState.firstLine)\n\(store)\n\(position.segment)\n\(position.offset)\n"
    do throws(SystemCallFailure) {
      let directory = try Directory.open(path.parent)
      let temporary = path.lastComponent + Array(".new".utf8)
      try directory.removeFile(temporary)
      let file = try directory.open(temporary, [.write, .createNew])
      try file.write(Array(text.utf8), at: 0)
      try file.syncData()
      try directory.rename(temporary, to: path.lastComponent, replacing: true)
    } catch {
      throw CommandError(.failed, "\(DisplayName.escaped(path.bytes)): \(error.reason)")
    }
  }
}
