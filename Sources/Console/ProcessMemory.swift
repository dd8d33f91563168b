import Glibc

/// The most memory that another process was seen to hold, from its `/proc/PID/status`.
struct ProcessMemory: ~Copyable {
  private(set) var peakAnonymousByteCount = 0
  private(set) var peakResidentByteCount = 0
  private(set) var sampleCount = 0
  private let descriptor: Int32
  private var text = [UInt8](repeating: 0, count: 4096)

  /// Where the system does not show the process, all figures stay 0.
  init(of process: pid_t) {
    // Safe: the path outlives the call.
    descriptor = unsafe open("/proc/\(process)/status", O_RDONLY | O_CLOEXEC)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Looks once; a process that has ended has no memory and changes nothing.
  mutating func sample() {
    // Safe: the buffer outlives the call and its size is given.
    let byteCount = unsafe pread(descriptor, &text, text.count, 0)
    guard byteCount > 0 else { return }
    guard let resident = kibibytes(after: "VmHWM:", byteCount), let anonymous = kibibytes(after: "RssAnon:", byteCount)
    else { return }
    sampleCount += 1
    peakResidentByteCount = max(peakResidentByteCount, resident << 10)
    peakAnonymousByteCount = max(peakAnonymousByteCount, anonymous << 10)
  }

  /// The number on the line that begins with `label`.
  private func kibibytes(after label: StaticString, _ byteCount: Int) -> Int? {
    let newline = UInt8(ascii: "\n")
    let prefix = label.description.utf8
    var lineStart = 0
    while lineStart < byteCount {
      let lineEnd = text[lineStart..<byteCount].firstIndex(of: newline) ?? byteCount
      let line = text[lineStart..<lineEnd]
      if line.starts(with: prefix) {
        let digits = line.dropFirst(prefix.count).filter { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        return Int(String(decoding: digits, as: UTF8.self))
      }
      lineStart = lineEnd + 1
    }
    return nil
  }
}
