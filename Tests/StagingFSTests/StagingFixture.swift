import Foundation
import StorageIO
import TestSupport
import Testing

@testable import StagingFS

/// What `body` throws, which has to be an error of the staging tree.
func stagingError(_ body: () throws -> Void) -> StagingError? {
  do {
    try body()
    return nil
  } catch {
    return error as? StagingError
  }
}

func noise(_ byteCount: Int, seed: UInt64 = 1) -> [UInt8] {
  var generator = SeededGenerator(seed: seed)
  return generator.bytes(byteCount)
}

extension StagingFileSystem {
  /// Waits until so many wait for the file; for no longer than a hang would take.
  func waitForWaiting(_ count: Int, at path: StagingPath) throws {
    let file = try look { (tree) throws(StagingError) in try tree.file(path) }
    let deadline = Date(timeIntervalSinceNow: 60)
    while file.withState({ $0.queue.waitingCount }) < count {
      guard Date() < deadline else { throw Watchdog.Timeout(description: "nobody waits for \(path)") }
      usleep(200)
    }
  }

  var usedByteCount: Int { statistics().usedByteCount }
}
