import Console
import StorageIO

/// A control group in which programs may have no more memory than a limit, page cache and all: the kernel kills what takes
/// more (cgroups(7), version 1 or 2).
struct MemoryCgroup: Sendable {
  /// The files of one of the versions.
  private struct Version: Sendable {
    let root: String
    let limit: String
    let peak: String
    /// In it a line `oom_kill N`.
    let events: String
  }

  private static let versions = [
    Version(
      root: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes",
      events: "memory.oom_control"),
    Version(root: "/sys/fs/cgroup", limit: "memory.max", peak: "memory.peak", events: "memory.events"),
  ]

  let path: FilePath
  private let version: Version

  /// Makes one with a limit.
  /// - Throws: `.failed`, with the reason, where this process may make none.
  init(limitByteCount: Int) throws(BenchFailure) {
    var reasons: [String] = []
    for version in MemoryCgroup.versions {
      let path = FilePath(version.root).appending(try MemoryCgroup.newName())
      do throws(SystemCallFailure) {
        try Directory.make(path)
        do throws(SystemCallFailure) {
          let file = try File.open(path.appending(version.limit), .write)
          try file.write(Array("\(limitByteCount)".utf8), at: 0)
          (self.path, self.version) = (path, version)
          return
        } catch {
          reasons.append(error.description)
          try MemoryCgroup.remove(path)
        }
      } catch {
        reasons.append(error.description)
      }
    }
    throw BenchFailure(.failed, "no memory cgroup can be made here: \(reasons.joined(separator: "; "))")
  }

  /// The program that has another one run in here: for sh, which becomes that one.
  func command(_ program: [UInt8], _ arguments: [[UInt8]]) -> (program: [UInt8], arguments: [[UInt8]]) {
    let script = #"echo $$ > "$0/cgroup.procs" && exec "$@""#
    return (Array("/bin/sh".utf8), [Array("-c".utf8), Array(script.utf8), path.bytes, program] + arguments)
  }

  /// The most that all programs in it had at a time, page cache included; nil where the kernel does not say.
  func peakByteCount() throws(BenchFailure) -> Int? {
    Int(try text(version.peak).prefix { $0.isNumber })
  }

  /// How many programs were killed for it.
  func killCount() throws(BenchFailure) -> Int {
    for line in try text(version.events).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, words[0] == "oom_kill", let count = Int(words[1]) { return count }
    }
    return 0
  }

  /// No program may be in it any more.
  func remove() throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in try MemoryCgroup.remove(path) }
  }

  private static func remove(_ path: FilePath) throws(SystemCallFailure) {
    try Directory.open(path.parent).removeDirectory(path.lastComponent)
  }

  private static func newName() throws(BenchFailure) -> String {
    let bytes = try BenchFailure.translating { () throws(SystemCallFailure) in try Random.bytes(6) }
    return "pfs-bench-\(bytes.map { String($0, radix: 16) }.joined())"
  }

  private func text(_ file: String) throws(BenchFailure) -> String {
    try BenchFailure.translating { () throws(ConsoleFailure) in
      String(decoding: try ConsoleFile.read(path: path.appending(file).bytes, limit: 1 << 16), as: UTF8.self)
    }
  }
}
