/// The memory of the machine.
public enum SystemMemory {
  private static let information = FilePath("/proc/meminfo")
  private static let controlGroup = FilePath("/sys/fs/cgroup")

  /// The bytes that this process could still take without anything being swapped out: what the kernel thinks is
  /// available (`MemAvailable`), or what a limit on the control group at the root leaves, as containers have it, if that
  /// is less. Nil where the system does not say.
  public static func availableByteCount() -> Int? {
    guard let available = field("MemAvailable:", of: text(information)) else { return nil }
    guard let limit = number(text(controlGroup.appending(Array("memory.max".utf8)))),
      let used = number(text(controlGroup.appending(Array("memory.current".utf8))))
    else { return available }
    return min(available, max(0, limit - used))
  }

  /// The value of a line such as `MemAvailable:   123 kB`, in bytes.
  static func field(_ name: String, of text: String) -> Int? {
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      guard let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
      return kibibytes.multipliedReportingOverflow(by: 1024).overflow ? nil : kibibytes * 1024
    }
    return nil
  }

  /// A file with a number; nil for one that says `max`, or is not there.
  private static func number(_ text: String) -> Int? { Int(text.split(separator: "\n").first ?? "") }

  private static func text(_ path: FilePath) -> String {
    do throws(SystemCallFailure) {
      return String(decoding: try File.open(path).bytes(at: 0, byteCount: 8 << 10), as: UTF8.self)
    } catch {
      return ""
    }
  }
}
