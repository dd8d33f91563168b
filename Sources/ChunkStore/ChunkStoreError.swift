import LMDB
import StorageIO

/// What went wrong in a store of chunks: a code to act on, and a message that says what, where, expected and found.
public struct ChunkStoreError: Error, Sendable, CustomStringConvertible {
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    /// No object has this key, or the object was deleted since it was opened.
    public static let notFound = Code(description: "not found")
    /// There is no store here.
    public static let noStore = Code(description: "no store")
    /// The directory holds something else, or only part of a store.
    public static let notAStore = Code(description: "not a store")
    /// Made by a newer version.
    public static let newerFormat = Code(description: "newer format")
    /// What should be made is there already.
    public static let exists = Code(description: "exists")
    /// The caller asked for something that cannot be.
    public static let invalidArgument = Code(description: "invalid argument")
    /// Values of the type cannot be stored: its declared layout is not what it is in memory.
    public static let unusableType = Code(description: "unusable type")
    /// The object has another layout than the type, or is of another kind.
    public static let wrongType = Code(description: "wrong type")
    /// The object is sealed: it can be read and deleted.
    public static let sealed = Code(description: "sealed")
    /// The store was opened for reading only.
    public static let readOnly = Code(description: "read only")
    /// Somebody else uses it, and the time to wait is over.
    public static let busy = Code(description: "busy")
    /// No room on the device, in a quota, or in the index.
    public static let noSpace = Code(description: "no space")
    /// What is on disk is not what was written.
    public static let corrupt = Code(description: "corrupt")
    /// A system call failed.
    public static let io = Code(description: "I/O error")
    /// The process or the system has no more memory or open files.
    public static let systemLimit = Code(description: "system limit")
    /// A sync failed earlier, so what this process wrote since may be lost; it writes no more.
    public static let durabilityUnknown = Code(description: "durability unknown")
    /// The index is lost or cannot be read; the objects are still in the chunks.
    public static let indexDamaged = Code(description: "index damaged")

    private init(description: String) { self.description = description }
  }

  public let code: Code
  public let message: String
  /// What to do about it, when there is something.
  public let advice: String?

  public var description: String { "\(code): \(message)" }

  init(_ code: Code, _ message: String, advice: String? = nil) {
    self.code = code
    self.message = message
    self.advice = advice
  }
}

// MARK: The one place where the errors of the fences become the store's

extension ChunkStoreError {
  init(_ failure: SystemCallFailure) {
    if failure.isNoSpace {
      self.init(
        .noSpace, "\(failure.reason) (\(failure.call) \(failure.subject))",
        advice: "free some space on this file system")
    } else {
      self.init(failure.isOutOfResources ? .systemLimit : .io, failure.description)
    }
  }

  init(_ error: LMDBError) {
    if error.isNoSpace || error.isMapFull {
      self.init(.noSpace, "the index has no room: \(error)", advice: "free some space on this file system")
    } else if error.isPanic {
      self.init(
        .durabilityUnknown, "index: \(error); whether an earlier change is on the device is not known",
        advice: "check the device, then open the store again: it then shows what is durable")
    } else if error.isAlreadyOpen {
      self.init(.busy, "this process has the store open already")
    } else if error.isDamaged || error.isNotFound {
      self.init(index: "\(error)")
    } else {
      self.init(.io, "index: \(error)")
    }
  }

  /// The index is damaged.
  init(index message: String) {
    self.init(
      .indexDamaged, "the index is damaged: \(message)",
      advice: "the chunks still hold every object: make the index anew with TypedStore.rebuild")
  }

  static func readOnlyStore(_ path: FilePath) -> ChunkStoreError {
    ChunkStoreError(.readOnly, "'\(path)' is open for reading only")
  }
}

/// Runs `body`, turning a failed system call into the store's error.
func translating<R>(_ body: () throws(SystemCallFailure) -> R) throws(ChunkStoreError) -> R {
  do throws(SystemCallFailure) { return try body() } catch { throw ChunkStoreError(error) }
}

/// Runs `body`, turning an error of the index into the store's.
func translatingIndex<R: ~Copyable>(_ body: () throws(LMDBError) -> R) throws(ChunkStoreError) -> R {
  do throws(LMDBError) { return try body() } catch { throw ChunkStoreError(error) }
}
