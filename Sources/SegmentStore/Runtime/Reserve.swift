import StorageIO

/// A few MiB of the disk that are given back when a delete finds no room for its own records.
struct Reserve: Sendable {
  static let fileName = Array("reserve".utf8)
  static let byteCount = 4 << 20

  let path: FilePath

  func release() throws(StoreError) {
    try translating { () throws(SystemCallFailure) in try File.open(path, [.write, .noFollow]).truncate(to: 0) }
  }

  /// Whether it is there: it was not needed since there was room for it.
  var isWhole: Bool {
    do throws(SystemCallFailure) {
      return try FileSystem.status(of: path).allocatedByteCount >= Reserve.byteCount
    } catch {
      return false
    }
  }

  /// Sets the space aside again, as much of it as there is.
  func refill() {
    do throws(SystemCallFailure) {
      let file = try File.open(path, [.write, .create, .noFollow])
      var byteCount = try file.status().allocatedByteCount
      var step = Reserve.byteCount - byteCount
      while byteCount < Reserve.byteCount, step >= Reserve.leastStepByteCount {
        do throws(SystemCallFailure) {
          let end = min(byteCount + step, Reserve.byteCount)
          try file.allocate(byteCount..<end)
          byteCount = end
        } catch  where error.isNoSpace {
          step /= 2
        }
      }
    } catch {}
  }

  private static let leastStepByteCount = 16 << 10
}
