/// A ``StagingTextHandle`` for Swift's tasks. As a sequence it is the lines that are left, each without its line feed:
/// `for try await line in text`.
///
/// All that reads from the same handle shares one position: each line comes out once.
public struct AsyncStagingTextHandle: AsyncSequence, Sendable {
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let text: AsyncStagingTextHandle

    /// The next line; nil at the end.
    /// - Throws: As ``StagingTextHandle/readLine()``.
    public mutating func next() async throws(StagingError) -> String? { try await text.nextLine() }

    public mutating func next(isolation actor: isolated (any Actor)?) async throws(StagingError) -> String? {
      try await text.nextLine()
    }
  }

  public let handle: AsyncStagingHandle
  private let invalidBytes: StagingTextHandle.InvalidBytes

  public init(_ handle: AsyncStagingHandle, invalidBytes: StagingTextHandle.InvalidBytes = .fail) {
    self.handle = handle
    self.invalidBytes = invalidBytes
  }

  private func perform<R: Sendable>(
    _ body: @escaping @Sendable (StagingTextHandle) throws(StagingError) -> R
  ) async throws(StagingError) -> R {
    let invalidBytes = invalidBytes
    return try await handle.perform { (handle) throws(StagingError) in
      try body(StagingTextHandle(handle, invalidBytes: invalidBytes))
    }
  }

  public func write(_ text: String) async throws(StagingError) {
    try await perform { (handle) throws(StagingError) in try handle.write(text) }
  }

  /// As ``StagingTextHandle/read(_:)``.
  public func read(_ scalarCount: Int? = nil) async throws(StagingError) -> String {
    try await perform { (handle) throws(StagingError) in try handle.read(scalarCount) }
  }

  /// The next line with its line feed, if it has one; nil at the end.
  public func readLine() async throws(StagingError) -> String? {
    try await perform { (handle) throws(StagingError) in try handle.readLine() }
  }

  /// The lines that are left, each without its line feed.
  public func lines() async throws(StagingError) -> [String] {
    try await perform { (handle) throws(StagingError) in try handle.lines() }
  }

  private func nextLine() async throws(StagingError) -> String? {
    try await readLine().map(StagingTextHandle.withoutLineFeed)
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(text: self) }
}
