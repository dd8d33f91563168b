import FaultyDisk
import StorageIO

/// Blocks of a store that the disk cannot read: each is noticed by whoever needs it, and named; nobody gets other bytes.
struct BadBlocks {
  /// A block that belongs to a file of the store.
  struct Block: Hashable, Sendable {
    /// Below the store.
    let file: String
    let fileOffset: Int
    let deviceOffset: Int

    var isOfSegment: Bool { file.hasPrefix("segments/") }
  }

  static let byteCount = 4096

  let disk: FaultyFileSystem
  let stage: FaultStage
  let state: StoreState
  /// Outside of the disk.
  let copy: FilePath

  /// The blocks of the files of the store at `store`, which is on the disk.
  static func blocks(of store: FilePath) throws(BenchFailure) -> [Block] {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      var names = ["STORE", "high-water", "index/data.mdb"]
      names += try Tree.names(in: store.appending("segments")).map { name in "segments/\(name)" }
      var blocks: [Block] = []
      for name in names {
        let path = store.appending(name)
        let fileByteCount = try FileSystem.status(of: path).byteCount
        for extent in try FaultyDisk.extents(of: path) {
          for offset in stride(from: 0, to: extent.byteCount, by: byteCount)
          where extent.fileOffset + offset < fileByteCount {
            blocks.append(
              Block(
                file: name, fileOffset: extent.fileOffset + offset, deviceOffset: extent.deviceOffset + offset))
          }
        }
      }
      return blocks
    }
  }

  /// - Returns: Whether the disk was asked for the block.
  func run(_ block: Block) throws(CaseFailure) -> Bool {
    let (disk, stage) = (disk, stage)
    let path = String(decoding: copy.bytes, as: UTF8.self)
    let (verified, isRead) = try CaseFailure.harness { () throws(BenchFailure) in
      try disk.unmount()
      var faults = FaultyDisk.Control.Faults()
      faults.reads = block.deviceOffset..<block.deviceOffset + BadBlocks.byteCount
      try disk.set(faults)
      try disk.mount()
      let verified = try stage.run(["verify"])
      return (verified, try disk.counts().failedReads > 0)
    }
    try check(verified, [0, 1, 3])
    if block.isOfSegment && isRead {
      try CaseFailure.demand(!verified.succeeded, .silent, "\(verified): it does not notice")
    }
    if !verified.succeeded {
      let said = (verified.output.joined(separator: "\n") + verified.errorText)
      let name = block.isOfSegment ? "segment" : block.file == "index/data.mdb" ? "index" : block.file
      try CaseFailure.demand(said.contains(name), .silent, "it does not name what is damaged: \(said)")
    }
    let listed = try CaseFailure.harness { () throws(BenchFailure) in try stage.run(["list"]) }
    try check(listed, [0, 1, 3])
    let listing = listed.output.joined(separator: "\n")
    for (id, name) in state.files.sorted(by: { $0.key < $1.key }) {
      if listed.succeeded {
        try CaseFailure.demand(listing.contains(name), .silent, "'\(name)' is missing from the listing")
      }
      let got = try CaseFailure.harness { () throws(BenchFailure) in
        try stage.run(["get", "--force", "\(id)", "-o", path])
      }
      try check(got, [0, 1, 3])
      guard got.succeeded else { continue }
      let bytes = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.bytes(of: copy) }
      try CaseFailure.demand(bytes == stage.sources.contents[name], .wrongBytes, "\(got) with other bytes")
    }
    return isRead
  }

  /// Demands that all is there when the disk can be read again.
  func checkWhole() throws(CaseFailure) {
    let (disk, stage, copy, expected) = (disk, stage, copy, state)
    try CaseFailure.harness { () throws(BenchFailure) in
      try disk.unmount()
      try disk.set(FaultyDisk.Control.Faults())
      try disk.mount()
    }
    let inspection = StoreInspection(store: stage.store, copy: copy, sources: stage.sources)
    try inspection.open(isRebuiltIfDamaged: false)
    let state = try inspection.state()
    try CaseFailure.demand(state.files == expected.files, .lost, "after the bad reads files are gone")
  }

  private func check(_ ending: TortureProgram.Ending, _ statuses: Set<Int32>) throws(CaseFailure) {
    if ending.isTooLong { throw .promise(.hang, "\(ending): too long") }
    if ending.outcome.signal != nil { throw .promise(.crash, "\(ending)") }
    try CaseFailure.demand(statuses.contains(ending.outcome.exitStatus ?? -1), .outcome, "\(ending)")
  }
}
