import SegmentStore

/// What went wrong in a staging tree: a code to act on, a message that says what and where, and for a limit how much was
/// asked for and how much there was.
public struct StagingError: Error, Sendable, CustomStringConvertible {
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    /// The quota has no room: see ``StagingError/requestedByteCount`` and ``StagingError/availableByteCount``.
    public static let quotaExceeded = Code(description: "quota exceeded")
    /// There would be more files and directories than the limit allows.
    public static let nodeLimitExceeded = Code(description: "node limit exceeded")
    /// Somebody else has the file open, and the time to wait is over.
    public static let lockTimeout = Code(description: "lock timeout")
    /// The machine has not enough memory left: said by the memory guard only.
    public static let memoryShortage = Code(description: "memory shortage")
    /// Nothing has this path.
    public static let notFound = Code(description: "not found")
    /// What should be made is there already.
    public static let exists = Code(description: "exists")
    /// A directory where a file is wanted.
    public static let isDirectory = Code(description: "is a directory")
    /// A file where a directory is wanted.
    public static let isNotDirectory = Code(description: "is not a directory")
    /// The handle was not opened for that, is closed, or the storage takes bytes at the end only.
    public static let wrongMode = Code(description: "wrong mode")
    /// A path that leads out of the tree, has a NUL byte or a component that is too long; a pattern that is none.
    public static let badPath = Code(description: "bad path")
    /// A position, size or limit that cannot be.
    public static let invalidArgument = Code(description: "invalid argument")
    /// Bytes that are no text in UTF-8.
    public static let badText = Code(description: "bad text")
    /// The store failed, or the caller cancelled: see ``StagingError/storeError``.
    public static let store = Code(description: "store")
    /// A file of the disk, not of the tree, cannot be read or written.
    public static let io = Code(description: "I/O error")
    /// The system has no thread left.
    public static let systemLimit = Code(description: "system limit")

    private init(description: String) { self.description = description }
  }

  public let code: Code
  public let message: String
  /// Of `.quotaExceeded` and `.memoryShortage`, in bytes; of `.nodeLimitExceeded`, in nodes.
  public let requestedByteCount: Int?
  /// The same, of what there was.
  public let availableByteCount: Int?
  /// Of `.store`: what the store says.
  public let storeError: StoreError?

  public var description: String { message }

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
    requestedByteCount = nil
    availableByteCount = nil
    storeError = nil
  }

  /// A limit that is reached.
  init(_ code: Code, requested: Int, available: Int, _ message: String) {
    self.code = code
    self.message = message
    requestedByteCount = requested
    availableByteCount = available
    storeError = nil
  }

  /// The one place where the store's error becomes that of the staging tree.
  init(_ error: StoreError) {
    code = .store
    message = error.message
    requestedByteCount = nil
    availableByteCount = nil
    storeError = error
  }
}

/// Runs `body`, turning an error of the store into that of the staging tree.
func translating<R>(_ body: () throws(StoreError) -> R) throws(StagingError) -> R {
  do throws(StoreError) { return try body() } catch { throw StagingError(error) }
}
