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

  var json: JSONValue {
    [
      "processor": .string(processor), "processors": .integer(Int64(processorCount)), "kernel": .string(kernel),
      "memory": .integer(Int64(memoryByteCount)), "file_system": .string(fileSystem),
    ]
  }

  /// The time that all processors together have spent at work since the machine was started, interrupts and what a
  /// host took away included; 0 where the system does not tell.
  static func busySeconds() -> Double {
    // proc(5): "cpu", then user, nice, system, idle, iowait, irq, softirq, steal, in hundredths of a second.
    let line = text("/proc/stat").split(separator: "\n").first ?? ""
    let ticks = line.split(separator: " ").dropFirst().prefix(8).map { Double($0) ?? 0 }
    return ticks.enumerated().reduce(0) { sum, tick in (3...4).contains(tick.offset) ? sum : sum + tick.element } / 100
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
