import CommandSupport
import SegmentStore

/// A file of the store as the user names it: by digits alone its id, by anything else its name.
enum FileArgument: Hashable, Sendable {
  case id(FileID)
  case name(FileName)

  /// A leading `./` is no part of the name, so that `./123` is the name 123.
  init(_ argument: [UInt8]) throws(CommandError) {
    let isNumber = !argument.isEmpty && argument.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard isNumber else {
      self = .name(try FileArgument.name(argument))
      return
    }
    let digits = String(decoding: argument, as: UTF8.self)
    guard let number = UInt64(digits) else { throw CommandError(.notFound, "no file with id \(digits)") }
    self = .id(FileID(rawValue: number))
  }

  /// The name that an argument stands for where no id can.
  static func name(_ argument: [UInt8]) throws(CommandError) -> FileName {
    let dotSlash = Array("./".utf8)
    let name = argument.starts(with: dotSlash) ? Array(argument.dropFirst(dotSlash.count)) : argument
    guard !name.isEmpty else { throw CommandError(.wrongUsage, "the name of the file is empty") }
    return try translating { () throws(StoreError) in try FileName(name) }
  }

  /// The name before the files of a tree, without slashes at its end.
  static func prefix(_ argument: [UInt8]) throws(CommandError) -> FileName {
    var prefix = argument
    while prefix.last == UInt8(ascii: "/") { prefix.removeLast() }
    guard !prefix.isEmpty else {
      throw CommandError(.wrongUsage, "'\(DisplayName.escaped(argument))' names no tree of files")
    }
    return try name(prefix)
  }

  /// The file: of those with a name the newest that is ready.
  /// - Throws: `.notFound`.
  func find(in store: Store) throws(CommandError) -> StoredFile {
    switch self {
    case .id(let id):
      let file = try translating { () throws(StoreError) in try store.file(id) }
      guard let file, file.status != .deleting else { throw CommandError(.notFound, "no file with id \(id)") }
      return file
    case .name:
      guard let newest = try versions(in: store).last else { throw try notFound(in: store) }
      return newest
    }
  }

  /// Finds the file and does something with it. One that was deleted by another process in between is looked for again
  /// by its name: it may have an older version, or a newer one.
  func use(
    in store: Store, _ body: (StoredFile) throws(CommandError) -> Void
  ) throws(CommandError) {
    while true {
      let file = try find(in: store)
      do throws(CommandError) { return try body(file) } catch {
        guard case .name = self, error.status == .notFound else { throw error }
        // Still found, it is not a file that went away meanwhile.
        if try find(in: store).id == file.id { throw error }
      }
    }
  }

  /// The same, after another process has deleted the file `lost` that was found first.
  func use(
    in store: Store, after lost: FileID, _ body: (StoredFile) throws(CommandError) -> Void
  ) throws(CommandError) {
    if try find(in: store).id == lost { throw CommandError(.notFound, "no file with id \(lost)") }
    try use(in: store, body)
  }

  /// The file with this id, or all ready files with this name, oldest first.
  /// - Throws: `.notFound` when there is none.
  func findAll(in store: Store) throws(CommandError) -> [StoredFile] {
    guard case .name = self else { return [try find(in: store)] }
    let all = try versions(in: store)
    if all.isEmpty { throw try notFound(in: store) }
    return all
  }

  private func versions(in store: Store) throws(CommandError) -> [StoredFile] {
    guard case .name(let name) = self else { return [] }
    return try translating { () throws(StoreError) in try store.files(named: name) }
  }

  private func notFound(in store: Store) throws(CommandError) -> CommandError {
    guard case .name(let name) = self else { return CommandError(.notFound, "no such file") }
    let shown = DisplayName.escaped(name.bytes)
    let isTree = try translating { () throws(StoreError) in
      try !store.newestFiles(namePrefix: name.bytes + [UInt8(ascii: "/")], limit: 1).isEmpty
    }
    return CommandError(
      .notFound, "no file named '\(shown)'",
      advice: isTree ? "there are files below '\(shown)/': say -r for all of them" : "see 'pfs list'")
  }
}
