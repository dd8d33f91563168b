// pfs: see Program.swift for what happens between a command line and an exit status.
import Console

StandardStreams.guardClosed()
let interruption = Interruption()
do {
  // Before any other thread is started, so that none of them takes the signals.
  try SignalWatcher.start { signal, ordinal in interruption.arrived(signal, ordinal) }
} catch {
  Terminal().tell("pfs: \(error.message)\n")
  ProcessExit.normally(ExitStatus.failed.rawValue)
}
ProcessExit.normally(Program(interruption: interruption).run(ProcessArguments.bytes).rawValue)
