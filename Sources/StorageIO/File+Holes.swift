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
}

/// SEEK_DATA and SEEK_HOLE, which the importer does not bring.
private let seekData: Int32 = 3
private let seekHole: Int32 = 4
