import Console
import StorageIO

/// Runs workloads in processes of their own and keeps what they did to the files below a directory.
struct WorkloadRecording {
  static let storeName = "store"

  /// Where the processes work and leave their logs.
  let directory: FilePath
  let seed: UInt64
  let library: FaultLibrary
  let interruption: Interruption

  var log: FilePath { directory.appending("log") }
  private var marks: FilePath { directory.appending("marks") }

  /// Runs `workload` on the store in `root`.
  /// - Parameter log: Where to; a file that is there is written over.
  /// - Throws: `.different` when the workload, without any crash, did not end as it must.
  func record(_ workload: String, root: FilePath, log: FilePath) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for path in [log, marks] { try File.open(path, [.write, .create]).truncate(to: 0) }
    }
    var environment = library.recording(root, log: log, marks: marks, seed: seed)
    environment["SWIFT_BACKTRACE"] = "enable=no"
    let program = try BenchFailure.translating { () throws(ConsoleFailure) in try ProgramFile.path() }
    let arguments = [
      "torture", "act", "--store", root.appending(WorkloadRecording.storeName).description, "--marks",
      marks.description, "--workload", workload,
    ]
    let run = try interruption.run(program, arguments.map { Array($0.utf8) }, environment: environment)
    try requireSuccess(run.outcome, "torture act --workload \(workload)")
  }
}
