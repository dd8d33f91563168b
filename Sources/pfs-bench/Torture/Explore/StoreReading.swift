import SegmentStore
import StorageIO

/// What is read out of a store, to be compared.
enum StoreReading {
  /// All bytes of `file`, through a file without a name in the directory `scratch`.
  static func bytes(
    of file: StoredFile, in store: Store, scratch: FilePath
  ) throws(StoreError) -> [UInt8] {
    let output: File
    do throws(SystemCallFailure) { output = try File.open(scratch, [.write, .unnamed]) } catch {
      throw StoreError(.unusableFile, "\(error)")
    }
    try store.get(file.id, to: .stream(output))
    // One byte more than there should be, to see whether there is.
    do throws(SystemCallFailure) { return try output.bytes(at: 0, byteCount: file.byteCount + 1) } catch {
      throw StoreError(.unusableFile, "\(error)")
    }
  }
}

/// What a store says of its ready files and where their parts are.
struct StoreDump: Hashable {
  struct Entry: Hashable {
    let file: StoredFile
    let parts: [StoredPartInformation]

    /// The same wherever its parts are.
    var withoutPlaces: [String] {
      ["\(file)"]
        + parts.map { "\($0.id) \($0.offsetInFile) \($0.rawByteCount) \($0.storedByteCount) \($0.codec) \($0.md5)" }
    }
  }

  private(set) var entries: [Entry] = []
  /// Files that are not ready.
  private(set) var unfinished: [StoredFile] = []

  init(_ store: Store) throws(StoreError) {
    var next = FileID(rawValue: 0)
    while true {
      let page = try store.files(from: next, limit: 256)
      guard let last = page.last else { return }
      for file in page {
        if file.status == .ready {
          entries.append(Entry(file: file, parts: try store.parts(of: file.id, 0..<file.partCount)))
        } else {
          unfinished.append(file)
        }
      }
      next = FileID(rawValue: last.id.rawValue + 1)
    }
  }

  var highestFileID: UInt64 {
    max(entries.last?.file.id.rawValue ?? 0, unfinished.last?.id.rawValue ?? 0)
  }

  var highestPartID: UInt64 { entries.flatMap(\.parts).map(\.id.rawValue).max() ?? 0 }

  /// Whether all that both have is the same, down to where each part is.
  func isConsistent(with other: StoreDump) -> Bool {
    let others = Dictionary(uniqueKeysWithValues: other.entries.map { ($0.file.id, $0) })
    return entries.allSatisfy { entry in others[entry.file.id].map { $0 == entry } ?? true }
  }
}
