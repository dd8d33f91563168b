import SegmentStore
import StorageIO

/// The store that is damaged: small, and with everything that a store can hold. Beside it the same as it was before its
/// last changes, and another one to which the same was done.
struct ReferenceStores {
  let reference: ReferenceImage
  let older: ReferenceImage
  let foreign: ReferenceImage

  static let referenceName = "reference"
  static let olderName = "older"
  static let foreignName = "foreign"
  private static let contentsName = "contents"

  /// Makes them in `workspace`, once in a run.
  static func make(in workspace: FilePath, seed: UInt64) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try Directory.make(workspace.appending(contentsName))
    }
    let foreign = ReferenceBuilder(workspace.appending(foreignName), contents: nil, seed: seed)
    try foreign.build { () throws(BenchFailure) in }
    let own = ReferenceBuilder(
      workspace.appending(referenceName), contents: workspace.appending(contentsName), seed: seed)
    try own.build { () throws(BenchFailure) in
      try ReferenceImage(reading: workspace.appending(referenceName)).write(to: workspace.appending(olderName))
    }
  }

  /// Reads those that ``make(in:seed:)`` made.
  init(in workspace: FilePath) throws(BenchFailure) {
    reference = try ReferenceImage(reading: workspace.appending(ReferenceStores.referenceName))
    older = try ReferenceImage(reading: workspace.appending(ReferenceStores.olderName))
    foreign = try ReferenceImage(reading: workspace.appending(ReferenceStores.foreignName))
  }

  /// The bytes that a ready file must have.
  static func content(of id: FileID, in workspace: FilePath) throws(BenchFailure) -> [UInt8] {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(workspace.appending(contentsName).appending("\(id)"))
      return try file.bytes(at: 0, byteCount: try file.status().byteCount)
    }
  }
}

/// Fills a store: small files, versions, long and strange names, holes, files over several segments, deleted ones with
/// tombstones beside and far from their manifests, a batch, a put that was interrupted.
private final class ReferenceBuilder {
  /// The smallest that the engine takes: nearly all bytes of a store are then of some use.
  private static let segmentByteCounts = [64 << 10, 1 << 20]
  private static let partByteCount = 4096

  private let path: FilePath
  private let contents: FilePath?
  private var random: SplitMix64
  private var segmentByteCount = 0
  private let source: FilePath

  init(_ path: FilePath, contents: FilePath?, seed: UInt64) {
    self.path = path
    self.contents = contents
    source = path.parent.appending("source")
    random = SplitMix64(seed: seed)
  }

  /// - Parameter beforeLast: called with the store closed, before the last changes.
  func build(beforeLast: () throws(BenchFailure) -> Void) throws(BenchFailure) {
    try create()
    var store = try open()
    try fill(store)
    try close(store)
    try beforeLast()
    store = try open()
    try change(store)
    try close(store)
  }

  private func create() throws(BenchFailure) {
    var options = Store.CreationOptions()
    options.partByteCount = ReferenceBuilder.partByteCount
    for byteCount in ReferenceBuilder.segmentByteCounts {
      options.segmentByteCount = byteCount
      segmentByteCount = byteCount
      do throws(StoreError) { return try Store.create(at: path, options) } catch {
        guard error.code == .invalidArgument, byteCount != ReferenceBuilder.segmentByteCounts.last else {
          throw BenchFailure(.failed, "\(error)")
        }
      }
    }
  }

  /// Fills most of what is left of a segment, to be punched out again where segments are large.
  private func filler(_ name: String, leaving byteCount: Int, _ store: Store) throws(BenchFailure) -> FileID {
    let isLarge = segmentByteCount > 4 * byteCount
    return try put(
      name, noise(isLarge ? segmentByteCount - byteCount : 20_000), store, partByteCount: isLarge ? 65_536 : nil)
  }

  private func fill(_ store: Store) throws(BenchFailure) {
    _ = try put("empty", text(0), store)
    _ = try put("tiny", noise(100), store)
    let doomed = try put("deleted at once", noise(9_000), store)
    _ = try put("text", text(14_000), store)
    try delete(doomed, store)
    _ = try put("versions", text(5_000), store)
    _ = try put("versions", text(6_000), store)
    _ = try put(String(repeating: "long name ", count: 50), text(700), store)
    _ = try put("tree/a b\u{1}", noise(5_000), store)
    let late = try put("deleted later", noise(6_000), store)
    try batch(store)
    let first = try filler("filler", leaving: 130_000, store)
    _ = try put("over two segments", noise(72_000), store)
    try delete(first, store)
    try delete(late, store)
    let second = try filler("second filler", leaving: 100_000, store)
    _ = try put("over two more", noise(44_000), store)
    try delete(second, store)
    _ = try put("holes", holes(), store)
  }

  private func change(_ store: Store) throws(BenchFailure) {
    _ = try put("versions", text(4_500), store)
    _ = try put("last", noise(10_000), store)
    let doomed = try put("deleted last", noise(5_000), store)
    try delete(doomed, store)
    let cancellation = Cancellation()
    var options = PutOptions()
    options.resumes = true
    try write(noise(1_500_000))
    let waiter = Monitor(())
    do throws(StoreError) {
      _ = try store.put(.file(source), as: FileName(Array("interrupted".utf8)), options, cancellation: cancellation) {
        _ in
        // By then all parts are on their way that are begun without waiting: as many each time.
        _ = waiter.wait(seconds: 0.05) { _ in nil as Bool? }
        cancellation.cancel()
      }
    } catch  where error.code == .cancelled {
      return
    } catch {
      throw BenchFailure(.failed, "\(error)")
    }
    throw BenchFailure(.failed, "the put that was to be interrupted was not")
  }

  // MARK: Steps

  private func open() throws(BenchFailure) -> Store {
    try BenchFailure.translating { () throws(StoreError) in try Store(at: path, DamageCheck.configuration) }
  }

  private func close(_ store: Store) throws(BenchFailure) {
    try BenchFailure.translating { () throws(StoreError) in try store.close() }
  }

  private func delete(_ id: FileID, _ store: Store) throws(BenchFailure) {
    try BenchFailure.translating { () throws(StoreError) in try store.delete(id) }
    guard let contents else { return }
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try ReferenceImage.remove("\(id)", in: contents)
    }
  }

  private func put(
    _ name: String, _ bytes: [UInt8], _ store: Store, partByteCount: Int? = nil
  ) throws(BenchFailure) -> FileID {
    try write(bytes)
    var options = PutOptions()
    options.partByteCount = partByteCount
    let chosen = options
    let id = try BenchFailure.translating { () throws(StoreError) in
      try store.put(.file(source), as: FileName(Array(name.utf8)), chosen).id
    }
    try note(bytes, id)
    return id
  }

  private func batch(_ store: Store) throws(BenchFailure) {
    let group = store.beginGroup()
    for number in 0..<3 {
      let bytes = text(800 + number * 3_000)
      try write(bytes)
      let id = try BenchFailure.translating { () throws(StoreError) in
        try group.put(.file(source), as: FileName(Array("batch/\(number)".utf8)))
      }
      try note(bytes, id)
    }
    _ = try BenchFailure.translating { () throws(StoreError) in try group.publish() }
  }

  private func note(_ bytes: [UInt8], _ id: FileID) throws(BenchFailure) {
    guard let contents else { return }
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try ReferenceImage.write(bytes, to: contents.appending("\(id)"))
    }
  }

  /// Writes the source of a put; long runs of zeros become holes.
  private func write(_ bytes: [UInt8]) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try ReferenceImage.remove("source", in: source.parent)
      let file = try File.open(source, [.write, .createNew])
      try file.truncate(to: bytes.count)
      for start in stride(from: 0, to: bytes.count, by: 4096) {
        let piece = Array(bytes[start..<min(bytes.count, start + 4096)])
        if piece.contains(where: { $0 != 0 }) { try file.write(piece, at: start) }
      }
    }
  }

  // MARK: Contents

  private func noise(_ byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  private func text(_ byteCount: Int) -> [UInt8] {
    let words = (0..<20).map { _ in noise(1 + random.below(9)).map { UInt8(ascii: "a") + $0 % 26 } + [32] }
    var bytes: [UInt8] = []
    while bytes.count < byteCount { bytes += words[random.below(words.count)] }
    return Array(bytes.prefix(byteCount))
  }

  /// Holes before, between and behind data.
  private func holes() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 60_000)
    for start in [16_384, 40_960] { bytes.replaceSubrange(start..<(start + 3_000), with: noise(3_000)) }
    return bytes
  }
}
