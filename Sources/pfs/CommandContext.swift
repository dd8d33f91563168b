import CommandSupport
import Console
import SegmentStore

/// What a running command has around it.
struct CommandContext: Sendable {
  let settings: Settings
  let stores: StoreHandle
  let output: Output
  let progress: TransferProgress
  /// Asks the command to stop and to undo what it has begun.
  let cancellation: Cancellation
  let interruption: Interruption
  let terminal: Terminal
  /// Whether other commands run beside this one, and standard input is theirs too.
  let isInShell: Bool
  /// What the commands of a shell collect in memory; nil outside of one.
  var staging: ShellStaging?

  /// Runs `command` to its end and reports what went wrong.
  func run(_ command: some Command) -> ExitStatus {
    do throws(CommandError) {
      let status = try command.run(in: self)
      try output.check()
      return status
    } catch {
      // An operation that was stopped because nobody reads its results ends like every other writer to that pipe.
      do throws(CommandError) { try output.check() } catch {
        output.report(error)
        return error.status
      }
      output.report(error)
      return error.status
    }
  }

  /// The store, opened at the first call.
  func store() throws(CommandError) -> Store {
    try translating { () throws(StoreError) in try stores.store() }
  }

  /// The store, made when there is none, which is said.
  func storeMakingOne() throws(CommandError) -> Store {
    try translating { () throws(StoreError) in
      try stores.storeMakingOne { path in output.notice("made the store '\(DisplayName.escaped(path.bytes))'") }
    }
  }

  /// Throws when the command was asked to stop or its results cannot be written.
  func check() throws(CommandError) {
    try output.check()
    if cancellation.isCancelled { throw CommandError.interrupted }
  }

  /// Does `body` with each of `items`: failures are said and the others go on, but for those that stop everything.
  /// - Returns: The status of the first failure.
  func forEach<Item>(
    _ items: [Item], _ body: (Item) throws(CommandError) -> ExitStatus
  ) throws(CommandError) -> ExitStatus {
    var first = ExitStatus.done
    for item in items {
      try check()
      let status: ExitStatus
      do throws(CommandError) { status = try body(item) } catch {
        try output.check()
        if error.status.stopsCommand { throw error }
        output.report(error)
        status = error.status
      }
      if first == .done { first = status }
    }
    return first
  }
}
