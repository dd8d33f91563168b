import StorageIO

/// The directory that a salvage fills.
struct SalvageDirectory: Sendable {
  /// Where a file goes, below the directory; `components` are as the file is called.
  struct Place: Sendable {
    let components: [[UInt8]]
    /// Where it goes when it cannot go there.
    let otherwise: [[UInt8]]

    /// The place where it goes then.
    var other: Place { Place(components: otherwise, otherwise: otherwise) }
  }

  private static let scratchName = Array(".scratch".utf8)

  private let root: Directory
  var scratchPath: FilePath { root.path.appending(SalvageDirectory.scratchName) }

  /// - Throws: `.exists` when something is in it, `.unusableFile`.
  init(_ path: FilePath) throws(StoreError) {
    let isEmpty: Bool
    do throws(SystemCallFailure) {
      try FileSystem.makeDirectories(path, mode: 0o700)
      root = try Directory.open(path)
      isEmpty = try root.listing().next() == nil
      if isEmpty { try Directory.make(path.appending(SalvageDirectory.scratchName)) }
    } catch {
      throw StoreError(user: error)
    }
    if !isEmpty {
      throw StoreError(.exists, "'\(path)': is not empty", advice: "name a new directory for what is salvaged")
    }
  }

  /// Best effort.
  func removeScratch() { StoreDirectory.remove(SalvageDirectory.scratchName, from: root) }

  // MARK: Places

  func place(for name: FileName, _ id: FileID) -> Place { place(["files"], name, id) }

  func place(forVersion name: FileName, _ id: FileID) -> Place { place(["versions", id.description], name, id) }

  func place(forUncommitted name: FileName, _ id: FileID) -> Place {
    place(["uncommitted", id.description], name, id)
  }

  private func place(_ above: [String], _ name: FileName, _ id: FileID) -> Place {
    let otherwise = [Array("unnamed".utf8), Array(id.description.utf8)]
    do throws(StoreError) {
      let path = try TreePath(name.bytes[...])
      return Place(components: above.map { Array($0.utf8) } + path.components, otherwise: otherwise)
    } catch {
      return Place(components: otherwise, otherwise: otherwise)
    }
  }

  /// Makes the directories above a place, and gives the innermost and the name in it. A name that cannot be had, because
  /// a file is where it needs a directory or is called so itself, leads to the other place.
  func open(_ place: Place) throws(StoreError) -> (Directory, [UInt8]) {
    do throws(StoreError) { return try make(place.components) } catch  where error.code == .unusableFile {
      return try make(place.otherwise)
    }
  }

  private func make(_ components: [[UInt8]]) throws(StoreError) -> (Directory, [UInt8]) {
    guard let name = components.last else { throw StoreError(.unusableFile, "a place without a name") }
    do throws(SystemCallFailure) {
      let directory = try root.openBeneath(makingDirectories: components.dropLast())
      do throws(SystemCallFailure) { _ = try directory.status(of: name) } catch  where error.isNotFound {
        return (directory, name)
      }
    } catch {
      throw StoreError(user: error)
    }
    throw StoreError(.unusableFile, "'\(FilePath(bytes: name))': is there already")
  }

  // MARK: Fragments

  func path(ofFragment id: FileID) -> FilePath { root.path.appending("fragments").appending(id.description) }

  func writeFragment(of id: FileID, _ bytes: RawSpan, at offset: Int) throws(StoreError) {
    do throws(SystemCallFailure) {
      let directory = try root.openBeneath(makingDirectories: [Array("fragments".utf8)])
      let file = try directory.open(Array(id.description.utf8), [.write, .create, .noFollow])
      try file.write(bytes, at: offset)
    } catch {
      throw StoreError(user: error)
    }
  }
}
