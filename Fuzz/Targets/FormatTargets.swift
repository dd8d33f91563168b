import Codecs
import StorageIO

@testable import SegmentStore

extension FuzzTarget {
  static let formatTargets = [
    FuzzTarget(name: "superblock") { bytes in
      // The fields of the first 96 bytes are what varies.
      for form in forms(bytes, byteCount: Superblock.byteCount, checksumAt: 4092, of: 0..<4092) {
        tolerating { () throws(FormatFailure) in
          let decoded = try Superblock(decoding: form)
          let again = try Superblock(decoding: decoded.encoded())
          precondition(again.encoded() == decoded.encoded(), "encoded otherwise")
        }
      }
      tolerating { () throws(FormatFailure) in _ = try Superblock(decoding: bytes) }
    },
    FuzzTarget(name: "segment-header") { bytes in
      for form in forms(bytes, byteCount: SegmentHeader.byteCount, checksumAt: 4092, of: 0..<4092) {
        tolerating { () throws(FormatFailure) in
          let decoded = try SegmentHeader(decoding: form)
          precondition(decoded.segmentByteCount > 0, "a segment of \(decoded.segmentByteCount) bytes")
        }
      }
    },
    FuzzTarget(name: "record-header") { bytes in
      for form in forms(bytes, byteCount: RecordHeader.byteCount, checksumAt: 4, of: 8..<128) {
        let reader = ByteReader(form)
        tolerating { () throws(FormatFailure) in
          // Where it says that it lies: what says otherwise is refused before the other fields count.
          let decoded = try RecordHeader(
            decoding: form, segment: SegmentID(rawValue: reader.get(24)),
            offset: Int(clamping: reader.get(32, as: UInt64.self)), storePrefix: reader.get(40))
          precondition(
            decoded.recordByteCount >= 128 && decoded.recordByteCount % 64 == 0, "\(decoded.recordByteCount)")
        }
      }
    },
    FuzzTarget(name: "manifest") { bytes in
      tolerating { () throws(FormatFailure) in
        let decoded = try Manifest(decoding: bytes)
        precondition(decoded.encoded() == bytes, "encoded otherwise")
        let numbers = [0, decoded.partCount / 2, decoded.partCount - 1]
        for number in numbers where (0..<decoded.partCount).contains(number) {
          let range = decoded.byteRange(ofPart: number)
          precondition(!range.isEmpty && range.upperBound <= decoded.byteCount, "part \(number) is \(range)")
          precondition(decoded.partIDs(number..<(number + 1)).count == 1, "part \(number) has no id")
        }
        _ = decoded.etag
      }
    },
    FuzzTarget(name: "footer") { bytes in
      // Behind the trailer the length of the file.
      let byteCount = Int(clamping: ByteReader(bytes + [UInt8](repeating: 0, count: 72)).get(64, as: UInt64.self))
      let trailer = Array(bytes.prefix(SegmentFooter.trailerByteCount))
      for form in forms(trailer, byteCount: SegmentFooter.trailerByteCount, checksumAt: 60, of: 0..<60) {
        for fileByteCount in [byteCount, byteCount & 0xFFFF_FFFF, 1 << 20] {
          tolerating { () throws(FormatFailure) in
            let footer = try SegmentFooter(decodingTrailer: form, fileByteCount: fileByteCount)
            precondition(footer.tableOffset + 128 * footer.recordCount + 64 == fileByteCount, "\(footer)")
          }
        }
      }
    },
    FuzzTarget(name: "commit") { bytes in
      let files = CommitPayload.files(bytes)
      precondition(files.count == bytes.count / 8, "\(files.count) files in \(bytes.count) bytes")
    },
    FuzzTarget(name: "high-water") { bytes in
      var whole = Array(bytes.prefix(1024))
      whole += [UInt8](repeating: 0, count: 1024 - whole.count)
      _ = HighWater.newestSlot(bytes)
      let first = forms(Array(whole[..<512]), byteCount: 512, checksumAt: 508, of: 0..<508)[1]
      let second = forms(Array(whole[512...]), byteCount: 512, checksumAt: 508, of: 0..<508)[1]
      _ = HighWater.newestSlot(first + second)
    },
    FuzzTarget(name: "segment-scan") { bytes in SegmentScan.run(bytes) },
  ]
}

/// Searches what is fed for records, wherever a magic stands with a checksum made right.
private enum SegmentScan {
  private static let file = Result { () throws(SystemCallFailure) in
    try File.open("/dev/shm", [.write, .unnamed])
  }

  static func run(_ bytes: [UInt8]) {
    guard case .success(let file) = file else { preconditionFailure("no file in /dev/shm") }
    var bytes = bytes
    for start in stride(from: 0, through: bytes.count - 128, by: 64) {
      guard bytes[start..<(start + 4)].elementsEqual("PFR1".utf8) else { continue }
      bytes[start + 24] = 1
      for index in 25..<48 { bytes[start + index] = 0 }
      for index in 0..<4 { bytes[start + 32 + index] = UInt8(truncatingIfNeeded: start >> (8 * index)) }
      let header = start..<(start + 128)
      bytes.replaceSubrange(
        header, with: forms(Array(bytes[header]), byteCount: 128, checksumAt: 4, of: 8..<128)[1])
    }
    tolerating { () throws(StoreError) in
      try translating { () throws(SystemCallFailure) in
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
      }
      var window = RecordWindow(file: file)
      let scan = RecordScan(segment: SegmentID(rawValue: 1), storePrefix: 0, range: 0..<bytes.count)
      var end = 0
      try scan.forEachHeader(in: &window) { header in
        precondition(header.offset >= end, "records overlap")
        end = header.offset + header.recordByteCount
        precondition(end <= bytes.count, "a record ends at \(end) of \(bytes.count)")
      }
    }
  }
}
