import Console
import StorageIO

/// Runs peers as programs, in a directory of the workspace that each of them finds empty.
struct PeerPrograms: Sendable {
  private static let directoryName = "peer"

  let run: BenchRun
  /// Of what is stored.
  private let input: FilePath
  private let directory: FilePath

  init(_ input: FilePath, _ run: BenchRun) throws(BenchFailure) {
    self.run = run
    self.input = try PeerPrograms.absolute(input, run)
    directory = try PeerPrograms.absolute(run.workspace.path, run).appending(PeerPrograms.directoryName)
  }

  /// Where a get leaves what it restored.
  var output: FilePath { directory.appending("out") }

  /// Its version, or the program that is not there.
  func version(of peer: Peer) throws(BenchFailure) -> (title: String?, missing: String?) {
    for program in peer.programs where try SystemCommand.path(of: program) == nil { return (nil, program) }
    let words = try script("\(peer.programs[0]) \(peer.versionArgument) 2>&1").split { $0 == " " || $0 == "\n" }
    let number = words.lazy.map { word in
      String(word.drop { !$0.isNumber }.prefix { $0.isNumber || $0 == "." })
    }.first { $0.contains(".") && $0.count > 2 }
    return (([peer.programs.joined(separator: ", ")] + (number.map { [$0] } ?? [])).joined(separator: " "), nil)
  }

  /// The seconds that a put takes, until everything is durable.
  func put(_ peer: Peer) throws(BenchFailure) -> Double {
    try clear()
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(directory) }
    if !peer.prepare.isEmpty { _ = try script(peer.prepare) }
    return try seconds(peer.put)
  }

  /// The seconds that a get takes, until everything is durable; afterwards ``output`` is what was stored.
  func get(_ peer: Peer) throws(BenchFailure) -> Double {
    let seconds = try seconds(peer.get)
    if !peer.collect.isEmpty { _ = try script(peer.collect) }
    return seconds
  }

  func clear() throws(BenchFailure) {
    let isThere = try BenchFailure.translating { () throws(SystemCallFailure) in try Tree.exists(directory) }
    if isThere { try run.workspace.remove(PeerPrograms.directoryName) }
  }

  private func seconds(_ text: String) throws(BenchFailure) -> Double {
    let start = MonotonicClock.seconds()
    _ = try script("{ \(text); } && sync -f -- \"$DIR\"")
    return MonotonicClock.seconds() - start
  }

  /// - Returns: What it wrote to standard output.
  private func script(_ text: String) throws(BenchFailure) -> String {
    let environment = [
      "IN": input.description, "DIR": directory.description, "OUT": output.description,
      "ARCHIVE": directory.appending("archive").description, "WORKERS": "\(run.settings.workerCount)",
      // Nothing of the user's is read or left behind, and nobody is asked.
      "HOME": directory.description, "RESTIC_PASSWORD": "pfs-bench",
      "RESTIC_CACHE_DIR": directory.description + "/cache",
      "BORG_BASE_DIR": directory.description, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
    ]
    let shell = try run.interruption.run(
      Array("/bin/sh".utf8), ["-c", text].map { Array($0.utf8) }, environment: environment)
    try requireSuccess(shell.outcome, text)
    return String(decoding: shell.outcome.standardOutput, as: UTF8.self)
  }

  private static func absolute(_ path: FilePath, _ run: BenchRun) throws(BenchFailure) -> FilePath {
    let found = try run.interruption.run(
      Array("/usr/bin/realpath".utf8), [Array("-z".utf8), Array("--".utf8), path.bytes])
    try requireSuccess(found.outcome, "realpath \(path)")
    return FilePath(bytes: Array(found.outcome.standardOutput.prefix { $0 != 0 }))
  }
}
