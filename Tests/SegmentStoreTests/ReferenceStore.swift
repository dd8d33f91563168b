import Codecs
import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

/// A store with every kind of record, in sealed segments and an open one, to be damaged and rebuilt again and again.
final class ReferenceStore {
  /// A segment file as it was before it was damaged.
  struct Segment {
    let path: String
    let bytes: [UInt8]
    let header: SegmentHeader
    let records: [RecordHeader]
    let footer: SegmentFooter?

    var id: SegmentID { header.segment }

    func flip(at offset: Int) throws { try FilesOnDisk.overwrite(path, at: offset, with: [bytes[offset] ^ 0x10]) }
  }

  let fixture: StoreFixture
  var files: [FileID: (name: FileName, bytes: [UInt8])] = [:]
  private(set) var segments: [Segment] = []
  private var deleted: [FileID: (name: FileName, bytes: [UInt8])] = [:]

  /// - Parameter keepsFooters: false: every segment has to be searched.
  init(_ directory: TemporaryDirectory, keepsFooters: Bool) throws {
    fixture = try StoreFixture(directory, configuration: WriteMode.buffered.configuration(workerCount: 1))
    var options = PutOptions()
    options.partByteCount = 32_768
    var doomed: [FileID] = []
    for number in 0..<24 {
      let byteCount = [0, 100, 9000, 120_000, 260_000][number % 5]
      let bytes =
        number % 3 == 0 ? Corpus(seed: UInt64(number)).bytes(byteCount) : noise(byteCount, seed: UInt64(number))
      let stored = try fixture.put(bytes, as: "file \(number)", options)
      if number % 6 == 5 {
        doomed.append(stored.id)
        deleted[stored.id] = (stored.name, bytes)
      } else {
        files[stored.id] = (stored.name, bytes)
      }
      guard number % 8 == 7 else { continue }
      for id in doomed { try fixture.store.delete(id) }
      doomed = []
    }
    try remember(keepsFooters: keepsFooters)
    try #require(segments.count >= 2)
  }

  /// Takes the segments as they are now for what is put back after each damage.
  func remember(keepsFooters: Bool) throws {
    try fixture.store.close()
    if !keepsFooters { try fixture.destroyFooters() }
    segments = try fixture.segmentFiles().map {
      Segment(path: $0.path, bytes: $0.bytes, header: $0.header, records: try $0.records(), footer: try $0.footer())
    }
    try fixture.open()
  }

  /// The files that need a record, and the one that a tombstone keeps from coming back.
  func files(in record: RecordHeader) -> Set<FileID> {
    if record.kind == .commit {
      guard let segment = segments.first(where: { $0.id == record.segment }) else { return [] }
      let payload = segment.bytes[(record.offset + 128)..<(record.offset + 128 + record.storedByteCount)]
      let ids = stride(from: payload.startIndex, to: payload.endIndex, by: 8).map { start in
        FileID(rawValue: (0..<8).reduce(0) { $0 | UInt64(payload[start + $1]) << (8 * UInt64($1)) })
      }
      return Set(ids.filter { files[$0] != nil })
    }
    return files[record.file] == nil && record.kind != .tombstone ? [] : [record.file]
  }

  /// A segment that holds a copy of one record of another, as moving it there would make it.
  func copy(_ record: RecordHeader, of segment: Segment, into id: SegmentID) throws -> [UInt8] {
    let header = SegmentHeader(
      uuid: segment.header.uuid, segment: id, segmentByteCount: 1 << 20, createdNanoseconds: 5,
      writer: segment.header.writer, counters: segment.header.counters)
    var copied = record
    (copied.segment, copied.offset) = (id, SegmentHeader.byteCount)
    let payload = segment.bytes[(record.offset + RecordHeader.byteCount)..<(record.offset + record.recordByteCount)]
    return header.encoded() + copied.encoded() + payload
  }

  /// Damages the closed store, makes its index anew, and expects that all files but `hits` are exact, that those are
  /// exact, unreadable or gone, or back if they were deleted, and that there are no others. Puts the segments back as they
  /// were.
  /// - Parameters:
  ///   - leavesNoTrace: Nothing may be left that knows of the damage.
  ///   - mustReport: Whether a file that is not exact must be among the findings of the rebuild.
  func check(
    _ place: String, hits: Set<FileID>, leavesNoTrace: Bool = false, damage: () throws -> Void,
    mustReport: () -> Bool = { false },
    afterwards: ([Finding]) throws -> Void = { _ in }
  ) throws {
    try fixture.store.close()
    try damage()
    FilesOnDisk.removeTree("\(fixture.path)/index")
    let (_, findings) = try fixture.rebuildClosed()
    let listed = try fixture.store.allFiles()
    let missing = Set(files.keys).subtracting(listed.map(\.id))
    let returned = listed.filter { files[$0.id] == nil }
    var harmed = missing
    for file in listed {
      let known = files[file.id] ?? deleted[file.id]
      #expect(file.name == known?.name, "\(place): file \(file.id) is invented")
      do {
        let bytes = try fixture.store.streamedBytes(of: file.id, in: fixture.directory)
        #expect(bytes == known?.bytes, "\(place): wrong bytes of file \(file.id)")
      } catch let error as StoreError {
        #expect(error.code == .corrupt, "\(place): \(error)")
        harmed.insert(file.id)
      }
    }
    let changed = harmed.union(returned.map(\.id))
    #expect(changed.isSubset(of: hits), "\(place): files \(changed.subtracting(hits).sorted()) were not hit")
    if !leavesNoTrace && (!missing.isEmpty || !returned.isEmpty || (!harmed.isEmpty && mustReport())) {
      #expect(
        findings.contains { $0.kind != .uncommittedFile }, "\(place): files \(changed.sorted()) changed in silence")
    }
    // The segments are still damaged, but nothing in the new index may contradict itself.
    var options = VerificationOptions()
    options.scope = .index
    let wrong = Monitor<[Finding]>([])
    _ = try fixture.store.verify(options) { event in
      if case .finding(let finding) = event, finding.kind == .index { wrong.withLock { $0.append(finding) } }
    }
    #expect(wrong.withLock { $0 } == [], "\(place)")
    try afterwards(findings)
    try fixture.store.close()
    try restore()
    try fixture.open()
  }

  private func restore() throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: fixture.segmentsPath) {
      FilesOnDisk.removeTree("\(fixture.segmentsPath)/\(name)")
    }
    for segment in segments { try FilesOnDisk.write(segment.bytes, to: segment.path) }
  }
}
