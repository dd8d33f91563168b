import StorageIO

/// An open file for Swift's tasks. Its calls are done one after the other, in whatever task they are made.
///
/// One that goes without ``close()`` is discarded.
public final class AsyncStagingHandle: Sendable {
  public let path: StagingPath
  public let mode: OpenMode
  private let handle: Monitor<StagingHandle>

  init(_ handle: sending StagingHandle, _ path: StagingPath, _ mode: OpenMode) {
    self.path = path
    self.mode = mode
    self.handle = Monitor(handle)
  }

  func perform<R: Sendable>(
    _ body: @escaping @Sendable (StagingHandle) throws(StagingError) -> R
  ) async throws(StagingError) -> R {
    let handle = handle
    return try await CallThreads.shared.run { () throws(StagingError) in
      try handle.withLock { (handle) throws(StagingError) in try body(handle) }
    }
  }

  public func read(_ count: Int? = nil) async throws(StagingError) -> [UInt8] {
    try await perform { (handle) throws(StagingError) in try handle.read(count) }
  }

  public func write(_ bytes: [UInt8]) async throws(StagingError) {
    try await perform { (handle) throws(StagingError) in try handle.write(bytes) }
  }

  public func adopt(_ bytes: [UInt8]) async throws(StagingError) {
    try await perform { (handle) throws(StagingError) in try handle.adopt(bytes) }
  }

  @discardableResult
  public func seek(
    to offset: Int, from origin: StagingHandle.Origin = .start
  ) async throws(StagingError) -> Int {
    try await perform { (handle) throws(StagingError) in try handle.seek(to: offset, from: origin) }
  }

  public func position() async throws(StagingError) -> Int { try await perform { $0.position } }
  public func byteCount() async throws(StagingError) -> Int { try await perform { $0.byteCount } }

  public func truncate(to newByteCount: Int? = nil) async throws(StagingError) {
    try await perform { (handle) throws(StagingError) in try handle.truncate(to: newByteCount) }
  }

  public func flush() async throws(StagingError) {
    try await perform { (handle) throws(StagingError) in try handle.flush() }
  }

  public func close() async throws(StagingError) {
    try await perform { (handle) throws(StagingError) in try handle.close() }
  }

  public func discard() async throws(StagingError) { try await perform { $0.discard() } }
}
