import StorageIO

@testable import LMDB
@testable import SegmentStore

extension FuzzTarget {
  static let indexTargets = [
    FuzzTarget(name: "index-value") { bytes in
      guard let kind = bytes.first else { return }
      let fields = Array(bytes.dropFirst())
      tolerating { () throws(StoreError) in _ = try Seal.fields(of: fields, under: [kind], in: "files") }
      tolerating { () throws(FormatFailure) in
        switch kind % 12 {
        case 0, 8:
          // Numbers beyond those that Swift has are taken for the largest.
          let entry = try FileEntry(decoding: fields)
          let again = try FileEntry(decoding: entry.fields())
          precondition(again.fields() == entry.fields(), "encoded otherwise")
        case 1: _ = try PartEntry(decoding: fields).recordByteCount
        case 2: _ = try SegmentEntry(decoding: fields).deadByteCount
        case 3: _ = try CommitEntry(decoding: fields)
        case 4: _ = try TombstoneEntry(decoding: fields)
        case 5: _ = try WriterEntry(decoding: fields)
        case 6: _ = try Counters(decoding: fields)
        case 7: _ = try StoreUUID(decoding: fields)
        case 9: _ = try RebuildScratch.FoundPart(decoding: fields)
        case 10: _ = try RebuildScratch.FoundCommit(decoding: fields)
        default: _ = try RebuildScratch.FoundTombstone(decoding: fields)
        }
      }
    },
    FuzzTarget(name: "index-page") { bytes in
      // The page number and the order come first; the end of a page is where its entries lie.
      guard bytes.count >= 20 else { return }
      let page = Array(bytes.dropFirst())
      let number = page.number(at: 0, byteCount: 8)
      tolerating { () throws(LMDBError) in
        let page = try TreePage(page, number: number, order: bytes[0] % 2 == 0 ? .bytes : .integers)
        for index in 0..<page.entryCount {
          _ = page.key(at: index)
          if page.isLeaf { _ = page.value(at: index).inline.count } else { _ = page.child(at: index) }
        }
      }
      tolerating { () throws(LMDBError) in _ = try TableRecord(Array(page.prefix(48)), of: "fuzzed") }
    },
    FuzzTarget(name: "keys") { bytes in
      if let id = SegmentID(fileName: bytes) { precondition(id.fileName == bytes, "segment \(id)") }
      if let id = FileID(key: bytes) { precondition(id.key == bytes, "file \(id)") }
      _ = NameKey.id(in: bytes)
      tolerating { () throws(StoreError) in
        let name = try FileName(bytes)
        let key = NameKey.key(of: name, FileID(rawValue: 7))
        precondition(key.count <= 511 && NameKey.id(in: key) == FileID(rawValue: 7), "key of \(key.count) bytes")
      }
    },
  ]
}
