import CommandSupport
import Console
import SegmentStore

/// `pfs verify`: checks everything, or some files, and changes nothing.
struct VerifyCommand: Command {
  static let name = "verify"
  static let summary = "check that everything is intact"
  static let showsProgress = true
  static let operand = Operand.storedFiles
  static let options = OptionTable([
    .init("fast", help: "Check stored checksums only: do not decompress parts and compare their MD5."),
    .init("rate", value: "SIZE/s", help: "Read at most so many bytes of segments in a second."),
    .init("max-time", value: "DURATION", help: "Stop after this time, and say how far it came."),
    .init(
      "state", value: "FILE", help: "Go on where FILE says the last run stopped, and note there how far this comes."),
  ])
  static let help = CommandHelp(
    ["pfs verify [OPTIONS]", "pfs verify [--fast] [--rate SIZE/s] ID|NAME..."],
    "Check the whole store, or these files: every record against its checksum, every part against its MD5, the index "
      + "against the segments both ways. Changes nothing, and others may use the store meanwhile. Prints a line for "
      + "everything that is damaged, and at the end what was checked. Exit status 3 if anything is damaged.",
    options: options,
    notes: [
      "What a writer that died has left is no damage: the next command that opens the store puts it right.",
      "With --state the index is checked in every run, and the segments from where the last run stopped to the last "
        + "one; the run after that begins with the first.",
    ],
    examples: [
      .init("pfs verify", "everything"),
      .init("pfs verify disk.img", "the newest version of one file"),
      .init("pfs verify --max-time 10m --state verify.state", "some of it each night"),
    ])

  private let arguments: [[UInt8]]
  private let statePath: FilePath?
  private let options: VerificationOptions

  init(_ line: ParsedOptions) throws(CommandError) {
    arguments = line.operands
    var options = VerificationOptions()
    options.isFast = line.contains("fast")
    options.maximumSeconds = try translatingUsage { () throws(UsageError) in try line.seconds(of: "max-time") }
    options.bytesPerSecond = try line.bytesPerSecond(of: "rate")
    self.options = options
    statePath = line.value(of: "state").map { FilePath(bytes: $0) }
    if statePath?.bytes.isEmpty == true { throw CommandError(.wrongUsage, "option '--state': the path is empty") }
    if !arguments.isEmpty, statePath != nil || options.maximumSeconds != nil {
      throw CommandError(.wrongUsage, "--state and --max-time are for the whole store, not for single files")
    }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let report = VerifyReport(context)
    guard arguments.isEmpty else { return try verifyFiles(context, report) }
    try verifyStore(context, report)
    try report.finish()
    return report.findingCount > 0 ? .damageFound : .done
  }

  // MARK: The whole store

  private func verifyStore(_ context: CommandContext, _ report: VerifyReport) throws(CommandError) {
    guard let alone = try segmentsAlone(context, report) else { return }
    let state = try statePath.map { (path) throws(CommandError) in try VerifyState(path, store: alone.uuid) }
    let walk = try IndexWalkProcess(context: context, report: report).run(on: context.stores.path)
    let store = walk.isUsable ? try translating { () throws(StoreError) in try context.stores.storeToLookAt() } : alone
    var options = options
    options.scope = .segments
    options.start = state?.position ?? .start
    options.maximumSeconds = options.maximumSeconds.map { max(0, $0 - report.elapsedSeconds) }
    context.progress.begin(store.path.lastComponent, totalByteCount: VerifyCommand.liveByteCount(of: store))
    let outcome: Result<VerificationSummary, StoreError>
    do throws(StoreError) {
      outcome = .success(
        try store.verify(options, cancellation: context.cancellation) { event in
          report.tell(event)
          if case .reached(let position) = event { state?.note(position) }
        })
    } catch {
      outcome = .failure(error)
    }
    try state?.save()
    try context.check()
    let summary = try translating { () throws(StoreError) in try outcome.get() }
    report.add(summary, countsParts: !walk.isUsable)
    try translating { () throws(StoreError) in try alone.close() }
  }

  /// What there is to read, for the bar; nil where the index does not say.
  private static func liveByteCount(of store: Store) -> Int? {
    do throws(StoreError) { return try store.statistics().liveByteCount } catch { return nil }
  }

  /// The segments of the store, and as much of the rest as is needed to read them; nil when that is damaged.
  private func segmentsAlone(_ context: CommandContext, _ report: VerifyReport) throws(CommandError) -> Store? {
    do throws(StoreError) { return try context.stores.segmentsAlone() } catch {
      if error.code == .corrupt {
        report.add(FindingReport(.storeFile, DisplayName.escaped(error.message)))
        return nil
      }
      // The one other file without which a store cannot be opened at all.
      if error.code == .io, ConsolePath.kind(context.stores.path.appending("locks").bytes) == nil {
        report.add(FindingReport(.storeFile, "locks: the file is missing: nothing else can be checked"))
        return nil
      }
      throw CommandError(error)
    }
  }

  // MARK: Some files

  private func verifyFiles(_ context: CommandContext, _ report: VerifyReport) throws(CommandError) -> ExitStatus {
    let status = try context.forEach(arguments) { (argument) throws(CommandError) in
      let argument = try FileArgument(argument)
      let store = try translating { () throws(StoreError) in try context.stores.storeToLookAt() }
      let before = report.findingCount
      try argument.use(in: store) { (file) throws(CommandError) in
        context.progress.begin(file.name.bytes, totalByteCount: file.storedByteCount)
        let summary = try translating { () throws(StoreError) in
          try store.verify(file: file.id, options, cancellation: context.cancellation) { report.tell($0) }
        }
        report.add(summary, countsParts: true)
      }
      return report.findingCount > before ? .damageFound : .done
    }
    if report.hasChecked { try report.finish() }
    return status
  }
}
