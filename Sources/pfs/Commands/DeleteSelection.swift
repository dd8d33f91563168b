import CommandSupport
import SegmentStore

/// The files that the arguments of `pfs delete` name, one after another, and what went wrong with some.
final class DeleteSelection {
  private let arguments: [[UInt8]]
  private let isRecursive: Bool
  private let takesAllVersions: Bool
  private let context: CommandContext
  private let store: Store

  /// Those that were handed over: a name that is given twice means two versions.
  private var chosen: Set<FileID> = []
  private var byName: [FileID: FileArgument] = [:]
  private var lost: [(argument: FileArgument, file: StoredFile)] = []
  /// That of the first failure.
  private(set) var status = ExitStatus.done
  /// What kept ``forEach(_:)`` from coming to its end, if it was not the one it hands files to.
  private(set) var stop: CommandError?

  init(
    arguments: [[UInt8]], isRecursive: Bool, takesAllVersions: Bool, context: CommandContext, store: Store
  ) {
    self.arguments = arguments
    self.isRecursive = isRecursive
    self.takesAllVersions = takesAllVersions
    self.context = context
    self.store = store
  }

  /// Calls `body` with each file. An argument that names none is reported, and the others go on.
  func forEach(_ body: (StoredFile) throws(StoreError) -> Void) throws(StoreError) {
    for argument in arguments {
      do throws(CommandError) { try context.check() } catch { try end(error) }
      if isRecursive {
        try forEachFile(below: argument, body)
        continue
      }
      var found: [StoredFile] = []
      do throws(CommandError) { found = try files(argument) } catch {
        if error.status.stopsCommand { try end(error) }
        note(error)
      }
      for file in found { try body(file) }
    }
  }

  private func end(_ error: CommandError) throws(StoreError) -> Never {
    stop = error
    throw StoreError(.cancelled, "stopped")
  }

  private func files(_ argument: [UInt8]) throws(CommandError) -> [StoredFile] {
    let named = try FileArgument(argument)
    if takesAllVersions { return try named.findAll(in: store).filter { chosen.insert($0.id).inserted } }
    var file = try named.find(in: store)
    if chosen.contains(file.id) {
      guard let next = try named.findAll(in: store).last(where: { !chosen.contains($0.id) }) else {
        throw CommandError(.notFound, "'\(DisplayName.escaped(argument))' is given more often than it has versions")
      }
      file = next
    }
    chosen.insert(file.id)
    byName[file.id] = named
    return [file]
  }

  private func forEachFile(
    below argument: [UInt8], _ body: (StoredFile) throws(StoreError) -> Void
  ) throws(StoreError) {
    let prefix: FileName
    do throws(CommandError) { prefix = try FileArgument.prefix(argument) } catch { return note(error) }
    var isEmpty = true
    try store.forEachFile(below: prefix) { (file) throws(StoreError) in
      isEmpty = false
      try body(file)
    }
    if isEmpty { note(CommandError(.notFound, "no file below '\(DisplayName.escaped(prefix.bytes))/'")) }
  }

  // MARK: Failures

  /// Reports that a file could not be deleted, unless its name may stand for another one by now.
  func fail(_ file: StoredFile, _ error: StoreError) {
    if error.code == .notFound, let argument = byName[file.id] {
      lost.append((argument, file))
    } else {
      note(CommandError(error))
    }
  }

  /// The next one that was gone when it was to be deleted.
  func nextLost() -> (argument: FileArgument, file: StoredFile)? { lost.popLast() }

  func note(_ error: CommandError) {
    context.output.report(error)
    if status == .done { status = error.status }
  }
}
