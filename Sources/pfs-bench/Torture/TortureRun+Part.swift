import Console

/// What a layer does in processes of its own, so that one that dies costs no more than the case it was at.
extension TortureRun {
  /// Runs `torture` of this program with `arguments`, and calls `body` with each line that it writes.
  /// - Parameter silenceSeconds: A part that says nothing for so long is killed.
  /// - Throws: `.interrupted`; the part is then killed.
  func runPart(
    _ arguments: [[UInt8]], silenceSeconds: Double, _ body: ([UInt8]) -> Void
  ) throws(BenchFailure) -> ChildProcess.Outcome {
    try interruption.check()
    // A crash must not wait for a backtrace.
    let environment = Interruption.withoutUser.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
    let outcome = try BenchFailure.translating { () throws(ConsoleFailure) in
      let child = try ChildProcess(
        ProgramFile.path(), [Array("torture".utf8)] + arguments, environment: environment)
      return try child.forEachLine(
        silenceSeconds: silenceSeconds, unless: { interruption.isRequested }, body)
    }
    try interruption.check()
    return outcome
  }
}
