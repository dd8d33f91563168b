import CommandSupport
import Console
import StorageIO

/// The part `torture check`: checks stores that `torture act` left, or what became of them, against its marks.
enum StoreCheckPart {
  private static let table = OptionTable([
    OptionTable.Option("workload", value: "TEXT", help: "What was done to them: [SEED/]OPERATION,OPERATION..."),
    OptionTable.Option("marks", value: "FILE", help: "What 'torture act' wrote."),
    OptionTable.Option("scratch", value: "DIR", help: "For what is read back; default: /dev/shm."),
    OptionTable.Option("depth", value: "quick|standard|full", help: "How much is tried; default standard."),
  ])

  /// Prints what is wrong, a line each.
  /// - Throws: `.different` when there is something.
  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let options = try BenchFailure.translating { () throws(UsageError) in
      try OptionParser.parse(arguments, table: table, stopsAtFirstOperand: false)
    }
    guard let marks = options.value(of: "marks"), let workload = options.value(of: "workload") else {
      throw BenchFailure(.usage, "torture check: give --workload, --marks and stores")
    }
    let expectation = try Expectation(
      try Workload(parsing: String(decoding: workload, as: UTF8.self)), marks: lines(of: FilePath(bytes: marks)))
    let depth = options.value(of: "depth").map { String(decoding: $0, as: UTF8.self) } ?? "standard"
    guard let depth = StoreCheck.Depth(rawValue: depth) else {
      throw BenchFailure(.usage, "torture check: there is no depth '\(depth)'")
    }
    let check = StoreCheck(scratch: FilePath(bytes: options.value(of: "scratch") ?? Array("/dev/shm".utf8)))
    var faultCount = 0
    for store in options.operands {
      let path = FilePath(bytes: store)
      let faults = check.run(path, expectation, depth: depth)
      faultCount += faults.count
      for fault in faults { try BenchCommand.print("\(path): \(fault)\n") }
    }
    if faultCount > 0 { throw BenchFailure(.different, "torture check: \(faultCount) faults") }
  }

  private static func lines(of path: FilePath) throws(BenchFailure) -> [String] {
    let bytes = try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(path)
      return try file.bytes(at: 0, byteCount: try file.status().byteCount)
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
