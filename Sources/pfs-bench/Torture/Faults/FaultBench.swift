import StorageIO

/// What all layers that run commands under faults begin with: the program, the library that makes its calls fail, the files
/// to be stored, and the stores to begin with.
struct FaultBench: Sendable {
  let program: TortureProgram
  let library: FaultLibrary
  let sources: FaultSources
  let starts: FaultStarts

  /// Makes the sources and the stores in the workspace of `run`.
  init(_ run: TortureRun) throws(BenchFailure) {
    library = try FaultLibrary.find()
    program = TortureProgram(path: run.settings.pfs, interruption: run.interruption)
    let directory = run.workspace.file("sources")
    let seed = run.settings.seed
    sources = try BenchFailure.translating { () throws(SystemCallFailure) in
      try FaultSources(in: directory, seed: seed)
    }
    let stage = try FaultStage(in: run.workspace.file("start"), sources, program, library)
    starts = try FaultStarts(on: stage)
  }

  /// A stage in `directory`, which may be there already.
  /// - Parameter workerCount: of the program; nil for as many as it has anyway.
  func stage(
    in directory: FilePath, isThere: Bool = false, workerCount: Int? = nil
  ) throws(BenchFailure) -> FaultStage {
    var program = program
    if let workerCount { program.workerCount = workerCount }
    return try FaultStage(in: directory, sources, program, library, isThere: isThere)
  }
}
