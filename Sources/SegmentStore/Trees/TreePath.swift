import StorageIO

/// A stored name as a path below a directory: no component may be empty, `.` or `..`.
struct TreePath {
  let components: [[UInt8]]

  init(_ bytes: ArraySlice<UInt8>) throws(StoreError) {
    components = bytes.split(separator: slash, omittingEmptySubsequences: false).map(Array.init)
    let dot = UInt8(ascii: ".")
    for component in components where component.isEmpty || component == [dot] || component == [dot, dot] {
      throw StoreError(.unusableFile, "its name leads out of the directory or names no file there; not written")
    }
  }

  /// Makes the directories above the file and opens the innermost. Never follows a symbolic link.
  func make(below root: Directory) throws(StoreError) -> (Directory, [UInt8]) {
    guard let name = components.last else { throw StoreError(.unusableFile, "its name is empty") }
    do throws(SystemCallFailure) {
      return (try root.openBeneath(makingDirectories: components.dropLast()), name)
    } catch  where error.isEscape {
      throw StoreError(.unusableFile, "\(error.subject): leads over a symbolic link; not written")
    } catch {
      throw StoreError(user: error)
    }
  }
}

private let slash = UInt8(ascii: "/")
