import Foundation
import Glibc

/// A home for one test: a store, a working directory and an environment that nothing outside leaks into.
///
/// ``use(_:)`` checks the store at the end and removes everything.
public final class Sandbox {
  /// The program under test: `$PFS_BINARY`, else the product beside the test bundle.
  public static let executable: BytePath = {
    if let path = ProcessInfo.processInfo.environment["PFS_BINARY"], !path.isEmpty { return BytePath(path) }
    return products / "pfs"
  }()

  /// The directory of the test bundle and of all that is built with it.
  public static let products: BytePath = {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { raw in
      raw.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, raw.count) } ?? 0
    }
    let bundle = BytePath(bytes: Array(buffer.prefix(max(0, count))))
    // Where a helper of the toolchain loads the bundle, the bundle is its argument.
    let candidates = [bundle] + CommandLine.arguments.filter { $0.hasSuffix(".xctest") }.map { BytePath($0) }
    for candidate in candidates {
      do { if try (candidate.parent / "pfs").exists() { return candidate.parent } } catch {}
    }
    return bundle.parent
  }()

  /// The directory of everything.
  public let root: BytePath
  /// Where commands run.
  public let work: BytePath
  /// The store that the environment names. It is not made beforehand.
  public var store: BytePath { didSet { environment["PFS_STORE"] = store.text } }
  /// What commands see of the environment: all of it.
  public var environment: [String: String]
  /// Files that the test has damaged: the last check demands that they are reported.
  public var damagedIdentifiers: Set<Int> = []
  /// Whether the store is checked at the end; false where a test leaves none that can be opened.
  public var isChecked = true
  private let temporary: TemporaryDirectory
  private var fileSystem: LoopFileSystem?

  /// Runs `body` in a new sandbox, then has `pfs verify` check the store.
  public static func use(_ body: (Sandbox) throws -> Void) throws {
    let sandbox = try Sandbox()
    defer { sandbox.clear() }
    try body(sandbox)
    if sandbox.isChecked, try sandbox.store.exists() { try sandbox.checkStore() }
  }

  private init() throws {
    temporary = try TemporaryDirectory()
    root = BytePath(temporary.path)
    work = root / "work"
    store = root / "store"
    try work.makeDirectory()
    environment = [
      "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SWIFT_BACKTRACE": "enable=no", "PFS_STORE": store.text,
    ]
    environment["HOME"] = (root / "home").text
    for (variable, name) in [
      ("DATA_HOME", "data"), ("CONFIG_HOME", "config"), ("CACHE_HOME", "cache"), ("STATE_HOME", "state"),
    ] {
      environment["XDG_\(variable)"] = (root / "home" / name).text
    }
    for variable in ["DATA_HOME", "CONFIG_HOME"] {
      try environment["XDG_\(variable)"].map { try BytePath($0).makeDirectories() }
    }
    // A pipe whose reader has gone is an error of write(2), not the end of the tests.
    Glibc.signal(SIGPIPE, SIG_IGN)
  }

  // MARK: Running

  /// `pfs` with these arguments, to be run or started.
  public func command(_ arguments: any CommandArgument...) -> Command { command(arguments) }

  /// `pfs` with these arguments, to be run or started.
  public func command(_ arguments: [any CommandArgument]) -> Command {
    Command(Sandbox.executable, arguments, environment: environment, workingDirectory: work)
  }

  /// Runs `pfs` to its end.
  public func pfs(
    _ arguments: any CommandArgument..., input: Command.Input = .nothing, output: Command.Output = .captured,
    timeoutSeconds: Double = RunningCommand.timeoutSeconds
  ) throws -> CommandResult {
    var command = command(arguments)
    command.input = input
    command.output = output
    return try command.run(timeoutSeconds: timeoutSeconds)
  }

  /// Runs `pfs`, which must exit 0.
  @discardableResult public func done(
    _ arguments: any CommandArgument..., input: Command.Input = .nothing, output: Command.Output = .captured
  ) throws -> CommandResult {
    var command = command(arguments)
    command.input = input
    command.output = output
    let result = try command.run()
    guard result.exitStatus == 0 else { throw TestFailure("\(result)") }
    return result
  }

  // MARK: The store

  /// A file as `list --json` has it.
  public struct ListedFile: Hashable, Sendable {
    public let id: Int
    public let name: String
    public let status: String
    public let byteCount: Int

    public init(id: Int, name: String, status: String, byteCount: Int) {
      self.id = id
      self.name = name
      self.status = status
      self.byteCount = byteCount
    }
  }

  /// Stores a file.
  /// - Returns: Its id.
  @discardableResult public func put(_ path: BytePath, _ options: any CommandArgument...) throws -> Int {
    let command = command(["put"] + options + ["--", path])
    let result = try command.run()
    guard result.exitStatus == 0, let id = result.outputLines.first?.split(separator: "\t").first.flatMap({ Int($0) })
    else { throw TestFailure("\(result)") }
    return id
  }

  /// What `pfs list` says, ready or not.
  public func list() throws -> [ListedFile] {
    let result = try done("--json", "list")
    return try JSON.lines(result.standardOutput).map { line in
      guard let id = line["id"]?.integer, let name = line["name"]?.string, let status = line["status"]?.string,
        let size = line["size"]?.integer
      else { throw TestFailure("a field is missing: \(line)") }
      return ListedFile(id: id, name: name, status: status, byteCount: size)
    }
  }

  /// The files of the segments of the store.
  public func segmentPaths() throws -> [BytePath] {
    try (store / "segments").entryNames().map { store / "segments" / $0 }
  }

  /// Has `pfs verify` check everything, and demands that it finds nothing but the files that the test has damaged, as
  /// far as they are still there.
  public func checkStore() throws {
    let expected = try damagedIdentifiers.isEmpty ? [] : damagedIdentifiers.intersection(list().map(\.id))
    let result = try pfs("--store", store, "--json", "--memory", "256MiB", "verify")
    let named = try JSON.lines(result.standardOutput).compactMap { $0["finding"] == nil ? nil : $0["file"]?.integer }
    guard result.exitStatus == (expected.isEmpty ? 0 : 3), Set(named) == expected else {
      throw TestFailure("damage of the files \(expected.sorted()) expected: \(result)")
    }
  }

  /// A small file system of its own, which stays until the store has been checked.
  public func mountFileSystem(byteCount: Int) throws -> LoopFileSystem {
    let mounted = try LoopFileSystem(in: root, byteCount: byteCount)
    fileSystem = mounted
    return mounted
  }

  private func clear() {
    fileSystem?.unmount()
    for name in ["work", "store", "home"] {
      do { try (root / name).remove() } catch {
        FileHandle.standardError.write(Data("\(root / name) stays behind: \(error)\n".utf8))
      }
    }
  }
}
