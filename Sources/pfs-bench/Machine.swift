import CommandSupport
import Console
import StorageIO

/// What a measurement was made on.
struct Machine: Hashable, Sendable {
  let processor: String
  let processorCount: Int
  let kernel: String
  let memoryByteCount: Int
  let fileSystem: String

  /// Looks at this machine and at the file system that holds `directory`; what the system does not tell is "unknown".
  init(directory: FilePath) {
    let processors = Machine.text("/proc/cpuinfo").split(separator: "\n")
    processor = processors.first { $0.hasPrefix("model name") }.map(Machine.value) ?? "unknown"
    processorCount = SystemThread.processorCount
    let release = Machine.text("/proc/sys/kernel/osrelease").split(separator: "\n").first
    kernel = release.map(String.init) ?? "unknown"
    let memory = Machine.text("/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemTotal") }
    let kibibytes = memory.map(Machine.value)?.split(separator: " ").first.flatMap { Int($0) }
    memoryByteCount = (kibibytes ?? 0) << 10
    var kind = "unknown"
    do throws(SystemCallFailure) { kind = try FileSystem.kind(of: directory).description } catch {}
    fileSystem = kind
  }

  private static func value(_ line: Substring) -> String {
    let text = line.drop { $0 != ":" }.dropFirst().drop { $0 == " " || $0 == "\t" }
    return String(text)
  }

  private static func text(_ path: String) -> String {
    do throws(ConsoleFailure) {
      return String(decoding: try ConsoleFile.read(path: Array(path.utf8), limit: 16 << 20), as: UTF8.self)
    } catch {
      return ""
    }
  }
}
