import Codecs
import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Sparse sources") struct SparseTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("come back byte for byte, whatever lies where", arguments: WriteMode.allCases)
  func random(mode: WriteMode) throws {
    let seed = TestSeed("sparse sources", default: 77)
    var generator = seed.generator
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    for round in 0..<6 {
      let path = directory.path(of: "sparse \(round)")
      let byteCount = generator.below(40 << 20)
      try FilesOnDisk.write([], to: path)
      try FilesOnDisk.truncate(path, to: byteCount)
      for _ in 0..<generator.below(30) {
        let offset = generator.below(max(1, byteCount))
        try FilesOnDisk.overwrite(path, at: offset, with: generator.bytes(1 + generator.below(20_000)))
      }
      let stored = try fixture.store.put(.file(FilePath(path)), as: try fileName("sparse \(round)"))
      #expect(try fixture.get(stored.id) == fileBytes(path), "\(seed), round \(round)")
    }
    try fixture.finish()
  }

  @Test("without any data take no memory for it, and no bytes but headers")
  func holesOnly() throws {
    let fixture = try StoreFixture(directory) { $0.partByteCount = 256 << 10 }
    let path = directory.path(of: "holes")
    let byteCount = 700 << 20 + 12_345
    try FilesOnDisk.write([], to: path)
    try FilesOnDisk.truncate(path, to: byteCount)
    let before = fixture.store.budget.peakByteCount
    let stored = try fixture.store.put(.file(FilePath(path)), as: try fileName("holes"))
    // Without memory nothing can be read.
    #expect(fixture.store.budget.peakByteCount == before)
    #expect(stored.byteCount == byteCount)
    #expect(stored.storedByteCount == 0)
    let parts = try fixture.store.parts(of: stored.id, 2799..<2801)
    #expect(parts.map(\.codec) == ["zeros", "zeros"])
    #expect(parts[0].md5 == [UInt8](repeating: 0, count: 256 << 10).withRawSpan { MD5.digest(of: $0) }.description)
    #expect(parts[1].md5 == [UInt8](repeating: 0, count: 12_345).withRawSpan { MD5.digest(of: $0) }.description)
    try fixture.store.delete(stored.id)
    try fixture.finish()
  }

  @Test("have the same etag as the same bytes without holes")
  func etag() throws {
    let fixture = try StoreFixture(directory)
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    bytes[500_000] = 1
    let path = directory.path(of: "sparse")
    try FilesOnDisk.write([], to: path)
    try FilesOnDisk.truncate(path, to: bytes.count)
    try FilesOnDisk.overwrite(path, at: 500_000, with: [1])
    let sparse = try fixture.store.put(.file(FilePath(path)), as: try fileName("sparse"))
    #expect(try sparse.etag == fixture.put(bytes, as: "dense").etag)
    try fixture.finish()
  }

  @Test("are read only in the parts that hold data")
  func layout() throws {
    let path = directory.path(of: "layout")
    try FilesOnDisk.write([], to: path)
    try FilesOnDisk.truncate(path, to: 100 * 65_536 + 10)
    for part in [3, 4, 50, 99] { try FilesOnDisk.overwrite(path, at: part * 65_536 + 30_000, with: [1]) }
    let file = try File.open(FilePath(path))
    func newLayout() -> SourceLayout { SourceLayout(file, byteCount: 100 * 65_536 + 10, partByteCount: 65_536) }
    var whole = newLayout()
    #expect(try whole.dataParts(in: 0..<101) == [3, 4, 50, 99])
    var asked = newLayout()
    #expect(try asked.holePartCount(from: 0) == 3)
    #expect(try asked.holePartCount(from: 4) == 0)
    #expect(try asked.holePartCount(from: 5) == 45)
    #expect(try asked.holePartCount(from: 60) == 39)
    #expect(try asked.dataParts(in: 99..<101) == [99])
    #expect(try asked.holePartCount(from: 100) == 1)
    #expect(try asked.holePartCount(from: 101) == 0)
  }

  @Test(
    "that change while they are read are an error, in a hole too", arguments: ["write", "grow", "cut", "touch back"])
  func changed(change: String) throws {
    let fixture = try StoreFixture(directory) { $0.partByteCount = 65_536 }
    let path = directory.path(of: "changing")
    let byteCount = 2000 * 65_536
    try FilesOnDisk.write([], to: path)
    try FilesOnDisk.truncate(path, to: byteCount)
    try FilesOnDisk.overwrite(path, at: 0, with: [1])
    let first = Monitor(true)
    let status = try FileSystem.status(of: FilePath(path))
    let error = storeError {
      _ = try fixture.store.put(.file(FilePath(path)), as: fileName("changing")) { _ in
        guard
          first.withLock({ isFirst in
            defer { isFirst = false }
            return isFirst
          })
        else { return }
        do {
          switch change {
          case "grow": try FilesOnDisk.truncate(path, to: byteCount + 1)
          case "cut": try FilesOnDisk.truncate(path, to: byteCount - 65_536)
          default: try FilesOnDisk.overwrite(path, at: 1_000_000, with: [7])
          }
          // A change that hides: only the date of the change of the attributes tells.
          if change == "touch back" {
            try File.open(FilePath(path), .write).setModified(nanoseconds: status.modifiedNanoseconds)
          }
        } catch { Issue.record("\(error)") }
      }
    }
    #expect(error?.code == .sourceChanged, "\(String(describing: error))")
    #expect(try fixture.store.allFiles().isEmpty)
    try fixture.finish()
  }
}
