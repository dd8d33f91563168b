import StorageIO
import Synchronization

/// The file `reserve`: space for the changes of an index on a full disk, so that there is always room to delete.
final class SpaceReserve: Sendable {
  static let fileName = Array("reserve".utf8)
  static let byteCount = 512 << 10

  private let path: FilePath
  private let isReleased: Atomic<Bool>

  /// - Parameter path: of the store.
  init(in path: FilePath) {
    self.path = path.appending(SpaceReserve.fileName)
    // It may have been used up by a process that died.
    isReleased = Atomic(true)
  }

  /// Gives the space back to the file system.
  func release() throws(SystemCallFailure) {
    isReleased.store(true, ordering: .relaxed)
    do throws(SystemCallFailure) { try File.open(path, [.write, .noFollow]).truncate(to: 0) } catch
      where error.isNotFound
    {}
  }

  /// Takes the space again, if it was given back and there is as much.
  func refill() {
    guard isReleased.load(ordering: .relaxed) else { return }
    do throws(SystemCallFailure) {
      try File.open(path, [.write, .create, .noFollow]).allocate(0..<SpaceReserve.byteCount)
      isReleased.store(false, ordering: .relaxed)
    } catch {
      // The next flush tries again.
    }
  }
}
