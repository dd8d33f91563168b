import CommandSupport
import Console
import Mutants
import StorageIO

/// Tests the harness: for each seeded defect the layers named for it are run, and one of them must see it; without any
/// defect they must see nothing.
enum MutantsLayer {
  static let layer = TortureLayer(
    "mutants", "seeded defects, each of which the layer named for it must see; for a build with -DPFS_MUTANTS",
    runsPFS: true, run)

  /// No layer takes so long for its few cases, unless the defect keeps it waiting.
  private static let limitSeconds = 600.0
  private static let shownByteCount = 150

  private static func run(_ run: TortureRun) throws(BenchFailure) {
    guard Mutant.areBuiltIn else {
      throw BenchFailure(.usage, "mutants: this pfs-bench was built without them; see 'make mutants'")
    }
    let mutants = try chosen(run.settings.replay)
    var trusted: [MutantTrial: Bool] = [:]
    var killedCount = 0
    var triedCount = 0
    for mutant in mutants {
      guard try run.nextCase() != nil else { break }
      triedCount += 1
      var killer: String?
      for trial in mutant.trials where killer == nil {
        if trusted[trial] == nil { trusted[trial] = try isClean(trial, run) }
        guard trusted[trial] == true else { continue }
        killer = try kill(mutant, by: trial, run)
      }
      guard killer == nil else {
        killedCount += 1
        continue
      }
      let layers = Set(mutant.trials.map(\.layer)).sorted().joined(separator: " nor ")
      run.record(
        Violation(
          kind: .survivor, message: "\(mutant.rawValue): not seen by \(layers)", replay: run.replay(mutant.rawValue)))
    }
    run.count("mutants tried", triedCount)
    run.count("mutants left out for want of time", mutants.count - triedCount)
    run.count("mutants killed", killedCount)
  }

  private static func chosen(_ name: String?) throws(BenchFailure) -> [Mutant] {
    guard let name else { return Mutant.allCases }
    guard let mutant = Mutant(rawValue: name) else {
      throw BenchFailure(
        .usage, "no mutant '\(name)'; there are \(Mutant.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return [mutant]
  }

  /// Whether the layer sees nothing where there is nothing to see: what it says of a mutant counts only then.
  private static func isClean(_ trial: MutantTrial, _ run: TortureRun) throws(BenchFailure) -> Bool {
    let outcome = try outcome(of: trial, nil, run)
    say(nil, trial, outcome)
    run.count("controls")
    guard let seen = outcome.seen else { return true }
    run.record(
      Violation(
        kind: .outcome, message: "\(trial.layer) is not clean without any mutant, so it cannot tell: \(seen)",
        replay: run.command(of: try layer(of: trial)) + " \(trial.options.joined(separator: " "))"))
    return false
  }

  /// - Returns: The kind of what the layer saw.
  private static func kill(
    _ mutant: Mutant, by trial: MutantTrial, _ run: TortureRun
  ) throws(BenchFailure) -> String? {
    let outcome = try outcome(of: trial, mutant, run)
    say(mutant, trial, outcome)
    guard outcome.seen != nil else { return nil }
    let name = "\(mutant.rawValue) seen by \(trial.layer) (\(outcome.kind))"
    run.count("\(name), cases", outcome.caseCount)
    run.count("\(name), milliseconds", Int(outcome.seconds * 1000))
    return outcome.kind
  }

  private static func layer(of trial: MutantTrial) throws(BenchFailure) -> TortureLayer {
    guard let layer = TortureCommand.layers.first(where: { $0.name == trial.layer }) else {
      throw BenchFailure(.failed, "mutants: there is no layer '\(trial.layer)'")
    }
    return layer
  }

  private static func outcome(
    of trial: MutantTrial, _ mutant: Mutant?, _ run: TortureRun
  ) throws(BenchFailure) -> MutantOutcome {
    let program = try BenchFailure.translating { () throws(ConsoleFailure) in try ProgramFile.path() }
    var words =
      [
        "torture", trial.layer, "--seed", "\(run.settings.seed)", "--workers",
        "\(run.settings.workerCount)", "--json",
      ] + trial.options
    if try layer(of: trial).runsPFS { words += ["--pfs", run.settings.pfs.description] }
    if let directory = run.settings.storeDirectory { words += ["--store-dir", directory.description] }
    return MutantOutcome(
      try run.interruption.outcome(
        of: program, words.map { Array($0.utf8) },
        environment: [Mutant.variableName: mutant?.rawValue ?? "", "SWIFT_BACKTRACE": "enable=no"],
        samplingMilliseconds: 50, limitSeconds: limitSeconds), isReplay: trial.isReplay)
  }

  /// One line of the table on standard error, as it comes.
  private static func say(_ mutant: Mutant?, _ trial: MutantTrial, _ outcome: MutantOutcome) {
    let name = mutant?.rawValue ?? "(none)"
    let what = outcome.seen.map { String($0.prefix(shownByteCount)) } ?? "nothing"
    let figures = "\(outcome.caseCount) cases, \(FixedPoint.text(outcome.seconds, decimals: 1)) s"
    do throws(ConsoleFailure) {
      try StandardStreams.write("\(name)\t\(trial.layer)\t\(figures)\t\(what)\n", to: .error)
    } catch {}
  }
}
