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

/// Bytes that no codec makes smaller, others for each seed. Turns of one random window, as that takes little time.
func noise(_ byteCount: Int, seed: UInt64 = 1) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(byteCount)
  var start = Int(seed &* 40_503 % UInt64(noiseWindow.count))
  while bytes.count < byteCount {
    bytes += noiseWindow[start...].prefix(byteCount - bytes.count)
    bytes += noiseWindow[..<start].prefix(byteCount - bytes.count)
    start = (start + 4_099) % noiseWindow.count
  }
  return bytes
}

private let noiseWindow: [UInt8] = {
  var generator = SeededGenerator(seed: 1)
  return generator.bytes(64 << 10)
}()

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
