import Glibc

extension File {
  /// The first byte from `offset` on that is not in a hole; nil when there is none up to the end.
  ///
  /// Where the file system does not know of holes, that is `offset`.
  public func nextData(from offset: Int) throws(SystemCallFailure) -> Int? {
    // Moves the position of the file, which nobody uses who reads by offsets.
    let found = lseek(descriptor, off_t(offset), seekData)
    if found >= 0 { return Int(found) }
    switch errno {
    case ENXIO: return nil
    case EINVAL: return offset
    default: throw SystemCallFailure(call: "lseek", subject: "'\(path)'", errorNumber: errno)
    }
  }
}

/// SEEK_DATA, which the importer does not bring.
private let seekData: Int32 = 3
