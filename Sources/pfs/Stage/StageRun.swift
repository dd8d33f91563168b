import CommandSupport
import SegmentStore
import StagingFS
import StorageIO

/// The staging tree of a shell: made by the first line that needs it.
final class ShellStaging: Sendable {
  private let tree = Monitor<StagingFileSystem?>(nil)

  /// - Parameter quotaByteCount: for a tree that is made now; nil: half of what the store can spare.
  func tree(of store: Store, quotaByteCount: Int?) throws(CommandError) -> StagingFileSystem {
    if let tree = tree.withLock({ $0 }) {
      if quotaByteCount != nil {
        throw CommandError(
          .wrongUsage, "the tree has its quota already", advice: "'stage drop' makes way for another")
      }
      return tree
    }
    let made = try translating { () throws(StagingError) in
      try StagingFileSystem(
        quota: quotaByteCount ?? store.reservableMemoryByteCount / 2, sharingMemoryOf: store)
    }
    return tree.withLock { tree in
      let kept = tree ?? made
      tree = kept
      return kept
    }
  }

  /// Lets go of the tree, whose memory comes back with the last use of it.
  func drop() {
    let dropped = tree.withLock { tree in
      defer { tree = nil }
      return tree
    }
    withExtendedLifetime(dropped) {}
  }
}

/// One `stage` line at work.
struct StageRun {
  let tree: StagingFileSystem
  let store: Store
  let timeoutSeconds: Double?
  let context: CommandContext

  private var lockTimeout: LockTimeout? { timeoutSeconds.map { .duration(.seconds($0)) } }

  func makeDirectories(_ paths: [StagingPath], _ isWithParents: Bool) throws(CommandError) {
    try translating { () throws(StagingError) in
      for path in paths { try tree.makeDirectory(path, makingParents: isWithParents, mayExist: isWithParents) }
    }
  }

  func put(_ file: FilePath, _ path: StagingPath?) throws(CommandError) {
    let path = path ?? .root
    let target = tree.isDirectory(path) ? path.appending(file.lastComponent) : path
    let byteCount = try translating { () throws(StagingError) in
      try tree.importFile(file, as: target, lockTimeout: lockTimeout)
      return try tree.byteCount(of: target)
    }
    try show(target, byteCount, isDirectory: false)
  }

  func get(_ path: StagingPath, _ target: FilePath?, _ isForced: Bool) throws(CommandError) {
    try translating { () throws(StagingError) in
      let file = try tree.export(path, lockTimeout: lockTimeout)
      try file.write(to: target ?? FilePath(bytes: path.lastComponent), replacing: isForced)
    }
  }

  func list(_ path: StagingPath, _ isRecursive: Bool) throws(CommandError) {
    let directories = try translating { () throws(StagingError) in
      tree.isFile(path) ? [] : try tree.walk(path)
    }
    if directories.isEmpty { return try showFile(path) }
    for directory in isRecursive ? directories : Array(directories.prefix(1)) {
      for name in directory.directoryNames { try show(directory.path.appending(name), 0, isDirectory: true) }
      for name in directory.fileNames { try showFile(directory.path.appending(name)) }
    }
  }

  func stats() throws(CommandError) {
    let statistics = tree.statistics()
    let counts = [
      ("files", statistics.fileCount), ("directories", statistics.directoryCount), ("chunks", statistics.chunkCount),
    ]
    let sizes = [
      ("quota", statistics.quotaByteCount), ("used", statistics.usedByteCount), ("free", statistics.freeByteCount),
      ("overhead of a chunk", statistics.overheadPerChunkByteCount),
      ("overhead of a file", statistics.overheadPerNodeByteCount),
    ]
    if context.output.isJSON {
      let members = (sizes + counts).map { (name, number) in
        JSONValue.Member(String(name.map { $0 == " " ? "_" : $0 }), .integer(Int64(number)))
      }
      try context.output.result(.object(members))
    } else {
      try context.output.results(
        KeyedLines.text(sizes.map { ($0, KeyedLines.size($1)) } + counts.map { ($0, String($1)) }))
    }
  }

  func rename(_ path: StagingPath, to newPath: StagingPath) throws(CommandError) {
    try translating { () throws(StagingError) in try tree.rename(path, to: newPath) }
  }

  func remove(_ paths: [StagingPath], _ isRecursive: Bool) throws(CommandError) {
    try translating { () throws(StagingError) in
      for path in paths {
        if isRecursive, tree.isDirectory(path) {
          try tree.removeTree(path, lockTimeout: lockTimeout)
        } else {
          try tree.remove(path, lockTimeout: lockTimeout)
        }
      }
    }
  }

  /// Prints what `put` prints.
  func commit(_ prefix: StagingPath) throws(CommandError) {
    let writers = lockTimeout.map { OpenWriters.areWaitedFor($0) } ?? .areRefused
    let ids = try translating { () throws(StagingError) in
      try tree.commit(
        into: store, under: prefix, writers: writers, cancellation: context.cancellation,
        progress: context.progress.add)
    }
    // One by one: there may be many.
    for id in ids {
      guard let file = try translating({ () throws(StoreError) in try store.file(id) }) else { continue }
      let report = FileReport(file)
      if context.output.isJSON {
        try context.output.result(report.json)
      } else {
        try context.output.results(report.line)
      }
    }
  }

  // MARK: Results

  /// A file that has gone meanwhile is left out.
  private func showFile(_ path: StagingPath) throws(CommandError) {
    let byteCount = try translating { () throws(StagingError) -> Int? in
      do throws(StagingError) { return try tree.byteCount(of: path) } catch  where error.code == .notFound {
        return nil
      }
    }
    if let byteCount { try show(path, byteCount, isDirectory: false) }
  }

  private func show(_ path: StagingPath, _ byteCount: Int, isDirectory: Bool) throws(CommandError) {
    if context.output.isJSON {
      let members = DisplayName.jsonMembers(path.bytes)
      try context.output.result(
        .object(
          members + [.init("size", .integer(Int64(byteCount))), .init("is_directory", .bool(isDirectory))]))
    } else {
      try context.output.results("\(byteCount)\t\(path)\(isDirectory ? "/" : "")\n")
    }
  }
}

extension CommandError {
  init(_ error: StagingError) {
    if let storeError = error.storeError {
      self.init(storeError)
      return
    }
    let status: ExitStatus =
      switch error.code {
      case .quotaExceeded, .nodeLimitExceeded, .memoryShortage: .noSpace
      case .notFound: .notFound
      case .lockTimeout: .busy
      case .badPath, .invalidArgument: .wrongUsage
      default: .failed
      }
    self.init(status, DisplayName.escaped(error.message))
  }
}

/// Runs `body`, turning an error of the staging tree into the command's.
func translating<Value>(_ body: () throws(StagingError) -> Value) throws(CommandError) -> Value {
  do throws(StagingError) { return try body() } catch { throw CommandError(error) }
}
