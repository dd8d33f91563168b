import StorageIO

/// A few MiB of the disk that are given back, step by step, when a delete or a compaction finds no room for its own records.
struct Reserve: Sendable {
  static let fileName = Array("reserve".utf8)
  static let byteCount = 4 << 20
  /// What deletes leave of it for a compaction.
  static let compactionByteCount = 1 << 20

  let path: FilePath

  /// Runs `body`, and where there is no room for it, again with one step more of the reserve, as long as there is any.
  /// - Parameter kept: what of it is not for this: without some room a compaction cannot win the rest back.
  func lend<R>(keeping kept: Int = 0, to body: () throws(StoreError) -> R) throws(StoreError) -> R {
    while true {
      do throws(StoreError) { return try body() } catch  where error.code == .noSpace {
        guard try releaseStep(keeping: kept) else { throw error }
      }
    }
  }

  /// Gives a step of it back to the file system: not all at once, which others who fill the disk would take.
  /// - Returns: False when no more is left of it than is to be kept.
  func releaseStep(keeping kept: Int = 0) throws(StoreError) -> Bool {
    do throws(SystemCallFailure) {
      let file = try File.open(path, [.write, .noFollow])
      let byteCount = try file.status().byteCount
      if byteCount <= kept { return false }
      try file.truncate(to: max(kept, byteCount - Reserve.stepByteCount))
      return true
    } catch  where error.isNotFound {
      return false
    } catch {
      throw StoreError(error)
    }
  }

  /// Whether it is there: it was not needed since there was room for it.
  var isWhole: Bool { allocatedByteCount >= Reserve.byteCount }

  /// Whether so much of it is gone that dead space must be won back for it.
  var isShort: Bool { allocatedByteCount < Reserve.byteCount / 2 }

  private var allocatedByteCount: Int {
    do throws(SystemCallFailure) { return try FileSystem.status(of: path).allocatedByteCount } catch { return 0 }
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

  private static let stepByteCount = 512 << 10
  private static let leastStepByteCount = 16 << 10
}
