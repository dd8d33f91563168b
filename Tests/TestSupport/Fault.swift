import Foundation

/// What is to happen to the system calls of a program: see Sources/FaultInjection/include/fault_injection.h.
public struct Fault: Sendable, CustomStringConvertible {
  /// What happens to a call that is met.
  public enum Action: Hashable, Sendable {
    /// It fails with this error, by its name in C, and does nothing.
    case error(String)
    /// It moves half of its bytes.
    case short
    /// The program is killed before it.
    case kill
    /// It moves half of its bytes, then the program is killed.
    case torn
    /// The program is stopped before it, until somebody resumes it.
    case stop

    public var text: String {
      switch self {
      case .error(let name): name
      case .short: "short"
      case .kill: "kill"
      case .torn: "torn"
      case .stop: "stop"
      }
    }
  }

  /// Which calls are met once the first is.
  public enum Repeat: String, Sendable { case once, sticky, alternate }

  /// The calls that change something in a store.
  public static let changes = [
    "create", "pwrite", "writev", "write", "ftruncate", "fallocate", "punch", "fsync", "fdatasync", "msync", "rename",
    "link", "unlink", "mkdir", "populate_write", "madvise", "sync_file_range",
  ]

  /// The library, which is built with the tests.
  public static let library = Sandbox.products / "libFaultInjection.so"

  /// The names of the calls that count; none: all.
  public var calls: [String]
  /// Only calls on a path that contains this count.
  public var path: String?
  /// Calls on a path that contains this do not count.
  public var exemptPath: String?
  /// Of calls of pread and pwrite, only those that touch this byte of their file count.
  public var offset: Int?
  /// The number of the call that is met, from 1 on; 0: none is, they are only counted.
  public var number = 0
  /// The number of the call before which the program is stopped besides; 0: none.
  public var stopNumber = 0
  public var action: Action
  public var repeats: Repeat

  public init(
    _ action: Action, at calls: [String] = [], path: String? = nil, _ repeats: Repeat = .once, number: Int = 0
  ) {
    self.action = action
    self.calls = calls
    self.path = path
    self.repeats = repeats
    self.number = number
  }

  public var description: String {
    let place = path.map { " on '\($0)'" } ?? ""
    return
      "\(action.text) \(repeats) at call \(number) of \(calls.isEmpty ? "all" : calls.joined(separator: ","))\(place)"
  }

  /// The command, under this fault, with a log of the calls that counted.
  public func applied(to command: Command, log: BytePath) throws -> Command {
    guard try Fault.library.exists() else {
      throw TestFailure("there is no \(Fault.library): swift build --build-tests")
    }
    var command = command
    command.environment["LD_PRELOAD"] = Fault.library.text
    if !calls.isEmpty { command.environment["FAULT_CALLS"] = calls.joined(separator: ",") }
    command.environment["FAULT_PATH"] = path
    command.environment["FAULT_EXEMPT"] = exemptPath
    command.environment["FAULT_OFFSET"] = offset.map { String($0) }
    command.environment["FAULT_NUMBER"] = String(number)
    command.environment["FAULT_STOP"] = stopNumber > 0 ? String(stopNumber) : nil
    command.environment["FAULT_ACTION"] = action.text
    command.environment["FAULT_REPEAT"] = repeats.rawValue
    command.environment["FAULT_LOG"] = log.text
    return command
  }
}

/// A call that counted.
public struct LoggedCall: Hashable, Sendable, CustomStringConvertible {
  public let number: Int
  public let call: String
  /// Whether something happened to it.
  public let isMet: Bool
  public let path: String

  /// The calls in the log, in order; none when there is no log.
  public static func all(in log: BytePath) throws -> [LoggedCall] {
    guard try log.exists() else { return [] }
    return String(decoding: try log.read(), as: UTF8.self).split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
      guard words.count == 4, let number = Int(words[0]) else { return nil }
      return LoggedCall(number: number, call: String(words[1]), isMet: words[2] != "-", path: String(words[3]))
    }
  }

  public var description: String { "\(number) \(call) \(path)" }
}
