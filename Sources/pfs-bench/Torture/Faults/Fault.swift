import StorageIO

/// What is to happen to the system calls of a program: see Sources/FaultInjection/include/fault_injection.h.
struct Fault: Hashable, Sendable {
  /// What happens to a call that is met.
  enum Action: Hashable, Sendable {
    /// It fails with this error, by its name in C, and does nothing.
    case error(String)
    /// It moves half of its bytes.
    case short
    /// The program is killed before it.
    case kill
    /// It moves half of its bytes, then the program is killed.
    case torn

    init(_ text: String) {
      switch text {
      case "short": self = .short
      case "kill": self = .kill
      case "torn": self = .torn
      default: self = .error(text)
      }
    }

    var text: String {
      switch self {
      case .error(let name): name
      case .short: "short"
      case .kill: "kill"
      case .torn: "torn"
      }
    }

    var isDeadly: Bool { self == .kill || self == .torn }
  }

  /// Which calls are met once the first is.
  enum Repeat: String, Sendable { case once, sticky, alternate }

  /// The calls that change something in a store.
  static let changes = [
    "create", "pwrite", "writev", "write", "ftruncate", "fallocate", "punch", "fsync", "fdatasync", "msync", "rename",
    "link", "unlink", "mkdir", "populate_write", "madvise", "sync_file_range",
  ]

  let action: Action
  /// The names of the calls that count; none: all.
  let calls: [String]
  let repeats: Repeat
  /// Only calls on a path that contains this count; nil: all in the stage.
  let path: String?
  /// Calls on a path that contains this do not count.
  let exemptPath: String?

  init(
    _ action: Action, at calls: [String], _ repeats: Repeat, path: String? = nil, exempt exemptPath: String? = nil
  ) {
    self.action = action
    self.calls = calls
    self.repeats = repeats
    self.path = path
    self.exemptPath = exemptPath
  }

  /// `ACTION:CALL,CALL:REPEAT:PATH:EXEMPT`, the last two often empty.
  init?(_ text: String) {
    let words = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard words.count == 5, let repeats = Repeat(rawValue: words[2]) else { return nil }
    self.init(
      Action(words[0]), at: words[1].split(separator: ",").map(String.init), repeats,
      path: words[3].isEmpty ? nil : words[3], exempt: words[4].isEmpty ? nil : words[4])
  }

  var text: String {
    "\(action.text):\(calls.joined(separator: ",")):\(repeats.rawValue):\(path ?? ""):\(exemptPath ?? "")"
  }

  /// Whether the fault can come to this call.
  func counts(_ call: LoggedCall) -> Bool {
    (calls.isEmpty || calls.contains(call.call)) && (path.map(call.path.contains) ?? true)
      && !(exemptPath.map(call.path.contains) ?? false)
  }

  /// What a program is told.
  /// - Parameters:
  ///   - number: The call that is met, from 1 on; 0: none is, they are only counted.
  ///   - root: Only calls on a path that contains this count, unless the fault says more.
  func environment(_ library: FaultLibrary, number: Int, root: String, log: FilePath) -> [String: String] {
    var environment = library.environment
    if !calls.isEmpty { environment["FAULT_CALLS"] = calls.joined(separator: ",") }
    environment["FAULT_PATH"] = path ?? root
    environment["FAULT_EXEMPT"] = exemptPath
    environment["FAULT_NUMBER"] = String(number)
    environment["FAULT_ACTION"] = action.text
    environment["FAULT_REPEAT"] = repeats.rawValue
    environment["FAULT_LOG"] = String(decoding: log.bytes, as: UTF8.self)
    return environment
  }
}

/// A call that counted.
struct LoggedCall: Hashable, Sendable, CustomStringConvertible {
  let number: Int
  let call: String
  /// Whether something happened to it.
  let isMet: Bool
  let path: String

  private static let logByteCount = 64 << 20

  /// The calls in the log, in order; none when there is no log.
  static func all(in log: FilePath) throws(SystemCallFailure) -> [LoggedCall] {
    let text: String
    do throws(SystemCallFailure) {
      let file = try File.open(log)
      let byteCount = min(try file.status().byteCount, logByteCount)
      text = String(decoding: try file.bytes(at: 0, byteCount: byteCount), as: UTF8.self)
    } catch  where error.isNotFound {
      return []
    }
    return text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
      guard words.count == 4, let number = Int(words[0]) else { return nil }
      return LoggedCall(number: number, call: String(words[1]), isMet: words[2] != "-", path: String(words[3]))
    }
  }

  var description: String { "call \(number), \(call) \(path)" }
}
