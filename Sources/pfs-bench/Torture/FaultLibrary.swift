import Console
import StorageIO

/// The library that is loaded into a child before libc, and there makes system calls fail or keeps a log of them: see
/// Sources/FaultInjection.
struct FaultLibrary: Sendable {
  let path: FilePath

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
        return FaultLibrary(path: path)
      } catch  where error.isNotFound {
        continue
      } catch {
        throw BenchFailure(.failed, error.description)
      }
    }
    throw BenchFailure(
      .failed, "there is neither \(candidates[0]) nor \(candidates[1]): swift build --product FaultInjection")
  }

  /// The environment of a child that the library is loaded into, besides what tells the library what to do.
  var environment: [String: String] { ["LD_PRELOAD": FaultLibrary.text(path)] }

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
