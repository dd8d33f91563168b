import Foundation

/// Everything below a directory: names, bytes, permissions and dates, to be compared with another tree.
public struct FileTree: Sendable {
  /// A regular file of the tree.
  public struct Entry: Hashable, Sendable {
    public let data: Data
    public let mode: UInt32
    public let modifiedNanoseconds: Int64
  }

  /// The regular files by their paths below the root.
  public private(set) var files: [BytePath: Entry] = [:]

  /// Reads the tree below `root`, whose files must fit memory.
  public init(below root: BytePath) throws { try add(root, as: nil) }

  /// What is different in `other`, a line for each file; empty when nothing is.
  public func differences(in other: FileTree) -> [String] {
    var result: [String] = []
    for (path, entry) in files {
      guard let found = other.files[path] else {
        result.append("\(path): missing")
        continue
      }
      if found.data != entry.data {
        result.append("\(path): other bytes (\(entry.data.count) expected, \(found.data.count) found)")
      }
      if found.mode != entry.mode { result.append("\(path): mode \(found.mode), expected \(entry.mode)") }
      if found.modifiedNanoseconds != entry.modifiedNanoseconds {
        result.append("\(path): date \(found.modifiedNanoseconds), expected \(entry.modifiedNanoseconds)")
      }
    }
    result += other.files.keys.filter { files[$0] == nil }.map { "\($0): was not there before" }
    return result.sorted()
  }

  private mutating func add(_ directory: BytePath, as prefix: BytePath?) throws {
    for name in try directory.entryNames() {
      let path = directory / name
      let relative = prefix.map { $0 / name } ?? BytePath(bytes: name)
      guard let status = try path.status() else { continue }
      if status.kind == .directory { try add(path, as: relative) }
      if status.kind == .file {
        files[relative] = Entry(
          data: try path.read(), mode: status.mode, modifiedNanoseconds: status.modifiedNanoseconds)
      }
    }
  }
}
