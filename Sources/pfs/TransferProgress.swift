import CommandSupport
import Console
import Synchronization

/// How far the transfer of a command is: told by the threads that do it, asked by those that show it.
final class TransferProgress: Sendable {
  private struct Transfer {
    let name: [UInt8]
    let totalByteCount: Int?
    let startSeconds: Double
  }

  private let transfer = Mutex<Transfer?>(nil)
  private let doneByteCount = Atomic(0)

  /// Begins with the next file or tree.
  /// - Parameter totalByteCount: nil when it is not known.
  func begin(_ name: [UInt8], totalByteCount: Int?) {
    doneByteCount.store(0, ordering: .relaxed)
    let start = MonotonicClock.seconds()
    transfer.withLock { $0 = Transfer(name: name, totalByteCount: totalByteCount, startSeconds: start) }
  }

  func add(_ byteCount: Int) { doneByteCount.add(byteCount, ordering: .relaxed) }

  /// Whether any byte was transferred.
  var isUnderWay: Bool { doneByteCount.load(ordering: .relaxed) > 0 }

  /// One line that says how far it is; nil before it begins.
  func line(columnLimit: Int) -> String? {
    guard let transfer = transfer.withLock({ $0 }) else { return nil }
    return ProgressLine(
      name: transfer.name, doneByteCount: UInt64(clamping: doneByteCount.load(ordering: .relaxed)),
      totalByteCount: transfer.totalByteCount.map { UInt64(clamping: $0) },
      elapsedSeconds: MonotonicClock.seconds() - transfer.startSeconds
    ).text(columnLimit: columnLimit)
  }
}
