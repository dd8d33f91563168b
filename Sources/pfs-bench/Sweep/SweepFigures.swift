import Console

/// What one program took for one put or get.
struct StepFigures: Hashable, Sendable {
  let wallSeconds: Double
  let userSeconds: Double
  let systemSeconds: Double
  let peakAnonymousByteCount: Int
  let peakResidentByteCount: Int
  let sampleCount: Int
  /// Processor time of everything else meanwhile: other programs, the kernel's own threads, the looks at memory.
  let othersSeconds: Double

  /// The time of all processors together.
  var processorSeconds: Double { userSeconds + systemSeconds }

  init(_ run: ProgramRun) {
    let outcome = run.outcome
    othersSeconds = run.othersSeconds
    wallSeconds = outcome.wallSeconds
    userSeconds = outcome.userSeconds
    systemSeconds = outcome.systemSeconds
    peakAnonymousByteCount = outcome.peakAnonymousByteCount
    peakResidentByteCount = outcome.peakResidentByteCount
    sampleCount = outcome.sampleCount
  }
}

/// Put and get of one file by one program, one after the other.
struct RoundTripFigures: Hashable, Sendable {
  let put: StepFigures
  let get: StepFigures
  /// What the file took on disk in between.
  let storedByteCount: Int
}

/// One run at one limit: pfs and, right before or after it, the bare work.
struct SweepSample: Hashable, Sendable {
  let runNumber: Int
  let limit: MemoryLimit
  /// Whether the bare work came first.
  let bareWasFirst: Bool
  let pfs: RoundTripFigures
  let bare: RoundTripFigures
}

/// A direction of the file's way: into the store or out of it.
enum SweepStep: String, Sendable, CaseIterable {
  case put
  case get

  func figures(_ roundTrip: RoundTripFigures) -> StepFigures {
    switch self {
    case .put: roundTrip.put
    case .get: roundTrip.get
    }
  }
}
