import Console
import StorageIO

/// The library that is loaded into a child before libc, and there makes system calls fail or keeps a log of them: see
/// Sources/FaultInjection.
struct FaultLibrary: Sendable {
  let path: FilePath
  /// Kept open where the path itself cannot be said to the loader.
  private let lent: LentFile?

  private init(_ path: FilePath) throws(BenchFailure) {
    self.path = path
    lent = try BenchFailure.translating { () throws(ConsoleFailure) in
      FaultLibrary.isPlain(path.bytes) ? nil : try LentFile(path.bytes)
    }
  }

  /// The loader takes a space and a colon for the end of a name, a dollar for a variable, and knows no way around it.
  private static func isPlain(_ bytes: [UInt8]) -> Bool {
    bytes.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "-")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"):
        true
      default: false
      }
    }
  }

  /// Where it stands: beside this program, as it was built, or in ../lib/pfs, as it is installed.
  static func find() throws(BenchFailure) -> FaultLibrary {
    let directory = try BenchFailure.translating { () throws(ConsoleFailure) in
      FilePath(bytes: try ProgramFile.path()).parent
    }
    let candidates = [
      directory.appending("libFaultInjection.so"), directory.parent.appending("lib/pfs/libFaultInjection.so"),
    ]
    for path in candidates {
      do throws(SystemCallFailure) {
        _ = try FileSystem.status(of: path)
      } catch  where error.isNotFound {
        continue
      } catch {
        throw BenchFailure(.failed, error.description)
      }
      return try FaultLibrary(path)
    }
    throw BenchFailure(
      .failed, "there is neither \(candidates[0]) nor \(candidates[1]): swift build --product FaultInjection")
  }

  /// The environment of a child that the library is loaded into, besides what tells the library what to do.
  var environment: [String: String] { ["LD_PRELOAD": lent?.name ?? FaultLibrary.text(path)] }

  /// What a child that was recorded did; it wrote to the file of marks, so that a log without a mark is none.
  /// - Throws: `.failed` when the library was not loaded, or is another: what nobody saw is no good news.
  func read(_ log: FilePath) throws(BenchFailure) -> CallLog {
    let bytes = try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(log)
      return try file.bytes(at: 0, byteCount: try file.status().byteCount)
    }
    let read = try CallLog(decoding: bytes)
    guard read.events.contains(where: { if case .mark = $0 { true } else { false } }) else {
      throw isNotLoaded("a program that was to be recorded made calls, and none was recorded")
    }
    return read
  }

  /// Of a child that was told to log its calls: the library makes the log before the program begins.
  func requireLog(_ log: FilePath) throws(BenchFailure) {
    let isThere = try BenchFailure.translating { () throws(SystemCallFailure) in try Tree.exists(log) }
    guard isThere else { throw isNotLoaded("a program whose calls were to be logged left no log of them") }
  }

  private func isNotLoaded(_ why: String) -> BenchFailure {
    BenchFailure(.failed, "\(why): '\(path)' was not loaded into it, or is another library")
  }

  /// The environment of a child that keeps a log of what it does to the files in `root`.
  /// - Parameters:
  ///   - marks: A file outside of `root`; each write to it stands in the log.
  ///   - seed: The same seed gives the same random numbers and dates, and so nearly the same log; nil for real ones.
  func recording(
    _ root: FilePath, log: FilePath, marks: FilePath? = nil, seed: UInt64? = nil
  ) -> [String: String] {
    var environment = environment
    environment["RECORD_ROOT"] = FaultLibrary.text(root)
    environment["RECORD_LOG"] = FaultLibrary.text(log)
    environment["RECORD_MARKS"] = marks.map(FaultLibrary.text)
    if let seed {
      environment["RECORD_SEED"] = String(seed)
      // Sets of Swift are walked in the order of hashes, which otherwise differs from run to run.
      environment["SWIFT_DETERMINISTIC_HASHING"] = "1"
    }
    return environment
  }

  private static func text(_ path: FilePath) -> String { String(decoding: path.bytes, as: UTF8.self) }
}
