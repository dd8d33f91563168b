import StorageIO

/// An ``ExportSequence`` for Swift's tasks: `for try await file in ...`.
///
/// Its iterators share one place: each file comes out of one of them.
public struct AsyncExportSequence: AsyncSequence, Sendable {
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let files: Monitor<ExportSequence>

    /// The next file; nil when there is none.
    /// - Throws: As ``ExportSequence/next()``: the next call goes on behind that file.
    public mutating func next() async throws(StagingError) -> ExportedFile? {
      try await AsyncExportSequence.next(files)
    }

    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(StagingError) -> ExportedFile? {
      try await AsyncExportSequence.next(files)
    }
  }

  private static func next(_ files: Monitor<ExportSequence>) async throws(StagingError) -> ExportedFile? {
    try await CallThreads.shared.run { () throws(StagingError) in
      try files.withLock { (files) throws(StagingError) in try files.next() }
    }
  }

  private let files: Monitor<ExportSequence>

  init(_ files: ExportSequence) { self.files = Monitor(files) }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(files: files) }
}
