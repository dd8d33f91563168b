import Codecs
import LMDB
import StorageIO

/// What went wrong in a store: a code to act on, a message that says what, where, expected and found, and where there
/// is something to do, what.
public struct StoreError: Error, Sendable, CustomStringConvertible {
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    /// No file in the store has this id or name.
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
    /// The memory limit is below what one batch needs.
    public static let memoryLimitTooSmall = Code(description: "memory limit too small")
    /// Somebody else uses it, and the time to wait is over.
    public static let busy = Code(description: "busy")
    /// No room on the device, in a quota, or in the index. Nothing was changed; try again when there is room.
    public static let noSpace = Code(description: "no space")
    /// Bytes do not match their checksum.
    public static let corrupt = Code(description: "corrupt")
    /// The file changed while it was read; nothing was stored.
    public static let sourceChanged = Code(description: "source changed")
    /// The input or output, not the store, cannot be used.
    public static let unusableFile = Code(description: "unusable file")
    /// A system call failed.
    public static let io = Code(description: "I/O error")
    /// The process or the system has no more memory or open files.
    public static let systemLimit = Code(description: "system limit")
    /// The caller asked to stop; what had begun was undone.
    public static let cancelled = Code(description: "cancelled")
    /// A sync failed earlier, so what this process wrote since may be lost; it writes no more.
    public static let durabilityUnknown = Code(description: "durability unknown")
    /// The index cannot be read; the files are still in the segments.
    public static let indexDamaged = Code(description: "index damaged")

    private init(description: String) { self.description = description }
  }

  public let code: Code
  public let message: String
  /// What to do about it, when there is something.
  public let advice: String?
  /// Of a get that failed because its file is damaged: all that is.
  public let losses: LossReport?

  public var description: String { message }

  public init(_ code: Code, _ message: String, advice: String? = nil, losses: LossReport? = nil) {
    self.code = code
    self.message = message
    self.advice = advice
    self.losses = losses
  }

  /// The same error, with where it happened said first.
  func within(_ place: String) -> StoreError {
    StoreError(code, "\(place): \(message)", advice: advice, losses: losses)
  }
}

// MARK: The one place where the errors of the fences become the store's

extension StoreError {
  /// A failed call on a file of the store.
  init(_ failure: SystemCallFailure) {
    if failure.isNoSpace {
      self.init(
        .noSpace, "\(failure.reason) (\(failure.call) \(failure.subject))",
        advice: "free some space on this file system, or delete files from the store")
    } else {
      self.init(.io, failure.description)
    }
  }

  /// A failed call on a file that the user named, not one of the store.
  init(user failure: SystemCallFailure) {
    if failure.isNoSpace {
      self.init(.noSpace, "\(failure.reason) (\(failure.call) \(failure.subject))")
    } else {
      self.init(.unusableFile, "\(failure.subject): \(failure.reason)")
    }
  }

  init(_ error: LMDBError) {
    if error.isNoSpace || error.isMapFull {
      self.init(
        .noSpace, "the index has no room: \(error)", advice: "free some space on this file system")
    } else if error.isPanic {
      // A write of this process failed half-way, and LMDB does not go on; what is on disk is sound.
      self.init(
        .durabilityUnknown, "index: \(error); whether an earlier change is on the device is not known",
        advice: "check the device, then open the store again: it then shows what is durable")
    } else if error.isDamaged || error.isNotFound {
      // A table that is not there is no table that was never made: all are made with the index.
      self.init(.indexDamaged, "the index is damaged: \(error)", advice: StoreError.indexAdvice)
    } else {
      self.init(.io, "index: \(error)")
    }
  }

  init(_ failure: CodecFailure) {
    self.init(failure.code == .engineFailure ? .systemLimit : .corrupt, failure.description)
  }

  /// An entry of the index that does not hold together.
  init(index failure: FormatFailure) {
    self.init(.indexDamaged, "the index is damaged: \(failure)", advice: StoreError.indexAdvice)
  }

  static let indexAdvice = "the segments still hold every file: make the index anew with 'pfs rebuild'"
}

/// Runs `body`, turning a failed system call into the store's error.
func translating<R>(_ body: () throws(SystemCallFailure) -> R) throws(StoreError) -> R {
  do throws(SystemCallFailure) { return try body() } catch { throw StoreError(error) }
}

/// Runs `body`, turning a failed call on a file that the user named into the store's error.
func translatingUser<R>(_ body: () throws(SystemCallFailure) -> R) throws(StoreError) -> R {
  do throws(SystemCallFailure) { return try body() } catch { throw StoreError(user: error) }
}

/// Runs `body`, turning an error of the index into the store's.
func translatingIndex<R: ~Copyable>(_ body: () throws(LMDBError) -> R) throws(StoreError) -> R {
  do throws(LMDBError) { return try body() } catch { throw StoreError(error) }
}
