import Glibc

/// Where a file has data and where it has holes, which read as zeros.
extension File {
  /// The first byte at or behind `offset` that may be other than zero; nil when there is none up to the end of the file.
  ///
  /// On a file system that knows no holes that is `offset` itself. The answer is of this moment; what is written into a
  /// hole later changes the dates of the file.
  public func nextData(from offset: Int) throws(SystemCallFailure) -> Int? {
    do throws(SystemCallFailure) {
      return Int(try retrying("lseek", "'\(path)'") { lseek(descriptor, off_t(offset), seekData) })
    } catch  where error.errorNumber == ENXIO {
      return nil
    } catch  where error.isNotSupported {
      return offset
    }
  }

  /// The first byte behind `offset`, which lies in data, that begins a hole; the end of the file is one.
  public func nextHole(from offset: Int) throws(SystemCallFailure) -> Int {
    do throws(SystemCallFailure) {
      return Int(try retrying("lseek", "'\(path)'") { lseek(descriptor, off_t(offset), seekHole) })
    } catch  where error.errorNumber == ENXIO || error.isNotSupported {
      // Beyond the end, since the file was cut; or no holes are known here.
      return .max
    }
  }

  /// The first hole in `range`, as far as it lies in there; nil when there is none. What lies behind the end of the file
  /// counts as one.
  public func nextHole(in range: Range<Int>) throws(SystemCallFailure) -> Range<Int>? {
    if range.isEmpty { return nil }
    let start = try nextHole(from: range.lowerBound)
    guard start < range.upperBound else { return nil }
    return start..<min(try nextData(from: start) ?? .max, range.upperBound)
  }

  /// Calls `body` with the holes in `range`, in order.
  /// - Complexity: two system calls a hole.
  public func forEachHole(
    in range: Range<Int>, _ body: (Range<Int>) -> Void
  ) throws(SystemCallFailure) {
    var rest = range
    while let hole = try nextHole(in: rest), !hole.isEmpty {
      body(hole)
      rest = hole.upperBound..<range.upperBound
    }
  }
}

/// SEEK_DATA and SEEK_HOLE, which the importer does not bring.
private let seekData: Int32 = 3
private let seekHole: Int32 = 4
