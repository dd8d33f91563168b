import Foundation

/// What a directory holds according to the log of the recorder: see Sources/FaultInjection/recorder.h.
public struct RecordedDirectory {
  /// A file or directory, whatever it is called.
  private final class Node {
    var bytes: [UInt8] = []
    /// Bytes that were neither zero nor what they were made.
    var overwrittenByteCount = 0
    /// Nil for a file.
    var entries: [[UInt8]: Node]?

    init(isDirectory: Bool) { entries = isDirectory ? [:] : nil }

    func replace(_ new: [UInt8], at offset: Int) {
      if bytes.count < offset + new.count { resize(offset + new.count) }
      for (index, byte) in new.enumerated() {
        let old = bytes[offset + index]
        if old != 0 && byte != 0 && old != byte { overwrittenByteCount += 1 }
        bytes[offset + index] = byte
      }
    }

    func resize(_ byteCount: Int) {
      if byteCount < bytes.count { bytes.removeLast(bytes.count - byteCount) }
      bytes += [UInt8](repeating: 0, count: byteCount - bytes.count)
    }
  }

  /// One event, as it stands in the log.
  public struct Event: Sendable {
    public enum Kind: UInt8, Sendable {
      case object = 1
      case write, page, size, zero, syncBegin, syncEnd, link, unlink, rename, directorySyncBegin, directorySyncEnd, mark
      case hook, failed, process

      var fieldCount: Int {
        switch self {
        case .object: 4
        case .write, .zero, .syncBegin, .syncEnd, .rename: 3
        case .page, .size, .link: 2
        case .unlink, .directorySyncBegin, .directorySyncEnd, .failed: 1
        case .mark, .hook, .process: 0
        }
      }
    }

    public let kind: Kind
    public let fields: [UInt64]
    public let bytes: [UInt8]
    public var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  public let events: [Event]
  private let root = Node(isDirectory: true)
  private var nodes: [UInt64: Node] = [:]
  /// All that ever had a name.
  private var named: [(name: String, node: Node)] = []

  /// Reads a log and replays it, on a directory that was empty before the first process came.
  public init(log: BytePath) throws {
    events = try RecordedDirectory.events(Array(try log.read()))
    for event in events { try apply(event) }
  }

  public func count(_ kind: Event.Kind) -> Int { events.count { $0.kind == kind } }

  private static func events(_ log: [UInt8]) throws -> [Event] {
    func integer(_ offset: Int, _ byteCount: Int) -> UInt64 {
      (0..<byteCount).reduce(0) { $0 | UInt64(log[offset + $1]) << UInt64(8 * $1) }
    }
    var events: [Event] = []
    var offset = 0
    while offset < log.count {
      guard offset + 8 <= log.count, let kind = Event.Kind(rawValue: log[offset + 4]) else {
        throw TestFailure("no event at \(offset) of the log")
      }
      let end = offset + Int(integer(offset, 4))
      let start = offset + 8 + 8 * kind.fieldCount
      guard start <= end, end <= log.count else { throw TestFailure("an event at \(offset) is cut off") }
      let fields = (0..<kind.fieldCount).map { integer(offset + 8 + 8 * $0, 8) }
      events.append(Event(kind: kind, fields: fields, bytes: Array(log[start..<end])))
      offset = end
    }
    return events
  }

  // MARK: Replay

  private mutating func apply(_ event: Event) throws {
    let fields = event.fields
    switch event.kind {
    case .object:
      nodes[fields[0]] =
        fields[2] == 1 ? try existing(event.bytes, isDirectory: fields[1] == 1) : Node(isDirectory: fields[1] == 1)
    case .write: try file(fields[0]).replace(event.bytes, at: Int(fields[1]))
    case .page:
      let file = try file(fields[0])
      let start = Int(fields[1]) * 4096
      guard start + event.bytes.count <= file.bytes.count else { throw TestFailure("a page behind the end") }
      file.replace(event.bytes, at: start)
    case .size: try file(fields[0]).resize(Int(fields[1]))
    case .zero:
      let file = try file(fields[0])
      let range = Int(fields[1])..<min(file.bytes.count, Int(fields[1] + fields[2]))
      file.replace([UInt8](repeating: 0, count: range.count), at: range.lowerBound)
    case .link:
      try directory(fields[0]).entries?[event.bytes] = try node(fields[1])
      named.append((event.text, try node(fields[1])))
    case .unlink: try take(event.bytes, from: fields[0])
    case .rename:
      let names = event.bytes.split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
      guard names.count == 2 else { throw TestFailure("a rename of \(names.count) names") }
      let moved = try take(names[0], from: fields[0])
      let replaced = try directory(fields[1]).entries?.updateValue(moved, forKey: names[1])
      if fields[2] == 1 { try directory(fields[0]).entries?[names[0]] = replaced }
    case .syncBegin, .syncEnd: _ = try file(fields[0])
    case .directorySyncBegin, .directorySyncEnd: _ = try directory(fields[0])
    case .mark, .hook, .failed, .process: break
    }
  }

  /// What an earlier process left, which the one that tells of it numbers anew.
  private func existing(_ path: [UInt8], isDirectory: Bool) throws -> Node {
    var node = root
    for name in path.split(separator: UInt8(ascii: "/")) {
      guard let next = node.entries?[Array(name)] else {
        throw TestFailure("'\(String(decoding: path, as: UTF8.self))' existed before, and the log does not know it")
      }
      node = next
    }
    guard (node.entries != nil) == isDirectory else { throw TestFailure("a directory is a file, or a file is one") }
    return node
  }

  @discardableResult private func take(_ name: [UInt8], from directory: UInt64) throws -> Node {
    guard let node = try self.directory(directory).entries?.removeValue(forKey: name) else {
      throw TestFailure("'\(String(decoding: name, as: UTF8.self))' was not there")
    }
    return node
  }

  private func node(_ number: UInt64) throws -> Node {
    guard let node = nodes[number] else { throw TestFailure("object \(number) was never told of") }
    return node
  }

  private func file(_ number: UInt64) throws -> Node {
    let node = try node(number)
    guard node.entries == nil else { throw TestFailure("object \(number) is a directory") }
    return node
  }

  private func directory(_ number: UInt64) throws -> Node {
    let node = try node(number)
    guard node.entries != nil else { throw TestFailure("object \(number) is a file") }
    return node
  }

  /// How many bytes of files that ever had such a name were changed from one value to another without being zero in between.
  public func overwrittenByteCount(ofFilesEndingIn suffix: String) -> Int {
    named.filter { $0.name.hasSuffix(suffix) }.reduce(0) { $0 + $1.node.overwrittenByteCount }
  }

  // MARK: Comparing

  /// What is not the same in `directory`; `lock.mdb`, whose bytes are not recorded, is the same when it is there.
  public func differences(from directory: BytePath) throws -> [String] {
    try differences(root, directory)
  }

  private func differences(_ node: Node, _ path: BytePath) throws -> [String] {
    guard let entries = node.entries else {
      if path.lastComponent == Array("lock.mdb".utf8) { return [] }
      let found = Array(try path.read())
      if found == node.bytes { return [] }
      let place = zip(found, node.bytes).enumerated().first { $1.0 != $1.1 }?.offset
      return ["\(path): \(found.count) bytes, \(node.bytes.count) recorded, first at \(place ?? -1)"]
    }
    let names = try path.entryNames()
    var differences: [String] = []
    if Set(names) != Set(entries.keys) {
      differences.append("\(path): \(names.count) entries, \(entries.count) recorded")
    }
    for name in names {
      guard let entry = entries[name] else { continue }
      differences += try self.differences(entry, path / name)
    }
    return differences
  }
}
