import CommandSupport
import Console
import SegmentStore

/// `pfs put --from-command`: what a program writes, if it succeeds.
extension PutCommand {
  func putOutput(
    of commandLine: [UInt8], as name: FileName, _ options: PutOptions, _ context: CommandContext
  ) throws(CommandError) {
    // The store first: without one there is no reason to run anything.
    let store = try context.storeMakingOne()
    context.progress.begin(name.bytes, totalByteCount: nil)
    let command: CommandOutput
    do throws(ConsoleFailure) { command = try CommandOutput(commandLine) } catch { throw CommandError(error) }
    // Whatever happens, nothing of it goes on and it is waited for; what has succeeded is not touched.
    defer { command.end() }
    let output = File.owning(descriptor: command.reading, name: "the output of the command")
    let cancellation = context.cancellation
    let file: StoredFile
    do throws(StoreError) {
      file = try store.put(
        .confirmedStream(output) { () throws(StoreError) in try checkSuccess(of: command, cancellation) }, as: name,
        options, cancellation: cancellation, progress: context.progress.add)
    } catch {
      throw CommandError(error, subject: name.bytes)
    }
    try report(file, context)
  }
}

/// Waits for the end of the command, which must be one with status 0.
private func checkSuccess(of command: CommandOutput, _ cancellation: Cancellation) throws(StoreError) {
  let ending: CommandOutput.Ending?
  do throws(ConsoleFailure) { ending = try command.wait(unless: { cancellation.isCancelled }) } catch {
    throw StoreError(.io, error.message)
  }
  switch ending {
  case .exited(0): return
  case .exited(let status):
    throw StoreError(.unusableFile, "the command ended with exit status \(status); nothing was stored")
  case .signalled(let signal):
    throw StoreError(.unusableFile, "the command was ended by signal \(signal); nothing was stored")
  case nil: throw StoreError(.cancelled, "interrupted; nothing of it was kept")
  }
}
