import LMDB
import TestSupport
import Testing

@testable import SegmentStore

/// All that an index says, to be compared with what another one says of the same segments.
///
/// Left out is what a rebuild cannot know or makes anew on purpose: who stored a file and who owns a segment; how many
/// records a segment has, since those that were punched out are not there any more; and the counters, which may only
/// have risen.
struct IndexDump: Equatable {
  var files: [FileID: FileEntry] = [:]
  var parts: [PartID: PartEntry] = [:]
  var names: [FileName: [FileID]] = [:]
  var unfinished: [FileID] = []
  var commits: [[UInt8]: CommitEntry] = [:]
  var tombstones: [[UInt8]: TombstoneEntry] = [:]
  var segments: [SegmentID: SegmentEntry] = [:]
  var counters = Counters()

  init(_ store: Store) throws {
    let index = try store.index
    let tables = try index.environment.openTables(["commits", "tombstones"], creates: false)
    var dump = IndexDump()
    try index.read { (transaction) throws(StoreError) in
      try index.files.forEach(from: FileID(rawValue: 0), in: transaction) { (id, entry) throws(StoreError) in
        var entry = entry
        entry.writer = WriterID(rawValue: 0)
        dump.files[id] = entry
        dump.names[entry.manifest.name] = try index.files.files(named: entry.manifest.name, in: transaction).map(\.id)
        return true
      }
      try index.parts.forEach(in: transaction) { (id, entry) throws(StoreError) in dump.parts[id] = entry }
      dump.unfinished = try index.files.unfinishedFiles(in: transaction)
      try transaction.forEach(tables[0]) { (key, entry: CommitEntry) throws(StoreError) in
        dump.commits[key] = entry
        return true
      }
      try transaction.forEach(tables[1]) { (key, entry: TombstoneEntry) throws(StoreError) in
        dump.tombstones[key] = entry
        return true
      }
      try index.segments.forEach(in: transaction) { (id, entry) throws(StoreError) in
        var entry = entry
        entry.owner = WriterID(rawValue: 0)
        entry.recordCount = 0
        dump.segments[id] = entry
      }
      dump.counters = try index.counters(in: transaction)
    }
    self = dump
  }

  private init() {}

  /// Expects that `other`, of an index that was made anew, says the same.
  func expectSame(_ other: IndexDump, _ place: String, at location: SourceLocation = #_sourceLocation) {
    #expect(other.files == files, "\(place): files", sourceLocation: location)
    #expect(other.parts == parts, "\(place): parts", sourceLocation: location)
    #expect(other.names == names, "\(place): names", sourceLocation: location)
    #expect(other.unfinished == unfinished, "\(place): unfinished", sourceLocation: location)
    #expect(other.commits == commits, "\(place): commits", sourceLocation: location)
    #expect(other.tombstones == tombstones, "\(place): tombstones", sourceLocation: location)
    #expect(other.segments == segments, "\(place): segments", sourceLocation: location)
    #expect(other.counters.isAtLeast(counters), "\(place): counters", sourceLocation: location)
  }
}

extension Counters {
  func isAtLeast(_ other: Counters) -> Bool { raised(to: other) == self }
}

extension StoreFixture {
  /// Closes the store, takes its index away, makes it anew and opens the store again.
  @discardableResult func rebuild(
    _ configuration: Store.Configuration? = nil
  ) throws -> (summary: RebuildSummary, findings: [Finding]) {
    try store.close()
    FilesOnDisk.removeTree("\(path)/index")
    return try rebuildClosed(configuration)
  }

  /// Makes the index of the closed store anew and opens the store.
  @discardableResult func rebuildClosed(
    _ configuration: Store.Configuration? = nil
  ) throws -> (summary: RebuildSummary, findings: [Finding]) {
    var findings: [Finding] = []
    let summary = try Store.rebuild(at: path, configuration ?? self.configuration) { findings.append($0) }
    #expect(summary.findingCount == findings.count { $0.kind != .uncommittedFile })
    try open()
    return (summary, findings)
  }
}
