import StorageIO

extension Store {
  /// What the files of the store take on disk, as `du` counts it. Also when it is closed.
  /// - Complexity: O(segments).
  public func diskByteCount() throws(StoreError) -> Int {
    let path = path
    return try translating { () throws(SystemCallFailure) in
      var sum = 0
      for directory in [path, path.appending(Index.directoryName), path.appending(StoreDirectory.segmentsName)] {
        let files = try Directory.open(directory)
        let listing = try files.listing()
        while let name = try listing.next() {
          // One that goes meanwhile takes nothing.
          do throws(SystemCallFailure) {
            let status = try files.status(of: name)
            if status.kind == .file { sum += status.allocatedByteCount }
          } catch  where error.isNotFound {}
        }
      }
      return sum
    }
  }
}
