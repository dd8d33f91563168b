import StorageIO
import Synchronization

/// A chunk file in memory, whole. It stays mapped as long as anybody refers to it.
@usableFromInline final class ChunkMap: Sendable {
  let id: ChunkID
  let byteCount: Int
  @usableFromInline let mapping: MappedFile
  private let directory: Directory
  /// Pages whose blocks are surely there; nil in a store that is open for reading.
  private let reserved: PageSet?
  private let changed: ChangedChunks
  private let isMarkedChanged = Atomic(false)

  /// Blocks are reserved ahead of a writer that goes from page to page, at most so many.
  private static let maximumRunPageCount = 256
  /// Holes are looked for up to so many; a page that is there already may be reserved again.
  private static let maximumExtentCount = 1024

  /// Maps `file`, which is as long as `byteCount`.
  init(
    _ id: ChunkID, _ file: File, byteCount: Int, isWritable: Bool, directory: Directory, changed: ChangedChunks
  ) throws(SystemCallFailure) {
    self.id = id
    self.byteCount = byteCount
    self.directory = directory
    self.changed = changed
    mapping = try MappedFile(
      file, byteCount: byteCount, isWritable: isWritable, pages: isWritable ? .single : .ordinary)
    reserved = isWritable ? try ChunkMap.allocatedPages(of: file, byteCount: byteCount) : nil
  }

  private static func allocatedPages(of file: File, byteCount: Int) throws(SystemCallFailure) -> PageSet {
    let pages = try PageSet(pageCount: (byteCount + pageByteCount - 1) / pageByteCount)
    var offset = 0
    for _ in 0..<maximumExtentCount {
      guard offset < byteCount, let start = try file.nextData(from: offset) else { break }
      offset = min(try file.nextHole(from: start), byteCount)
      // Whole pages: where blocks are smaller, the rest of a page may be a hole.
      let first = (start + pageByteCount - 1) / pageByteCount
      if first < offset / pageByteCount { pages.insert(first..<(offset / pageByteCount)) }
    }
    return pages
  }

  // MARK: Space

  /// Makes sure that writing to `range` cannot meet a full disk.
  /// - Complexity: O(pages of the range); a system call where some are not reserved yet.
  func reserve(_ range: Range<Int>) throws(ChunkStoreError) {
    guard let reserved, !range.isEmpty else { return }
    let pages = (range.lowerBound / pageByteCount)..<((range.upperBound - 1) / pageByteCount + 1)
    if reserved.containsAll(pages) { return }
    // Who goes on from page to page has as many reserved at once as there are behind it, so that calls get rare.
    var runPageCount = 0
    while runPageCount < min(ChunkMap.maximumRunPageCount, pages.lowerBound),
      reserved.contains(pages.lowerBound - runPageCount - 1)
    {
      runPageCount += 1
    }
    let ahead = pages.lowerBound..<min(pages.upperBound + runPageCount, reserved.pageCount)
    do throws(SystemCallFailure) {
      let file = try openForWriting()
      do throws(SystemCallFailure) {
        try allocate(ahead, of: file)
        reserved.insert(ahead)
      } catch  where error.isNoSpace && ahead != pages {
        try allocate(pages, of: file)
        reserved.insert(pages)
      }
    } catch  where error.isNotSupported {
      // A file system that cannot set space aside: the guard of the access then makes an error of what happens.
      reserved.insert(pages)
    } catch {
      throw ChunkStoreError(error)
    }
  }

  /// All of the pages or none: a file system may have taken what there was before it says that it was not enough.
  private func allocate(_ pages: Range<Int>, of file: File) throws(SystemCallFailure) {
    var holes: [Range<Int>] = []
    // The first and the last page may be those of another object too, into which somebody writes meanwhile.
    if pages.count > 2 {
      let inner = ((pages.lowerBound + 1) * pageByteCount)..<((pages.upperBound - 1) * pageByteCount)
      try file.forEachHole(in: inner) { holes.append($0) }
    }
    do throws(SystemCallFailure) {
      try file.allocate((pages.lowerBound * pageByteCount)..<min(pages.upperBound * pageByteCount, byteCount))
    } catch {
      if error.isNoSpace { try giveBack(holes, of: file) }
      throw error
    }
  }

  /// Makes holes again of what were holes, but for pages that were reserved before and not written to yet.
  private func giveBack(_ holes: [Range<Int>], of file: File) throws(SystemCallFailure) {
    for hole in holes {
      var page = (hole.lowerBound + pageByteCount - 1) / pageByteCount
      let end = hole.upperBound / pageByteCount
      while page < end {
        let first = page
        while page < end, reserved?.contains(page) == false { page += 1 }
        if first < page { try file.deallocate((first * pageByteCount)..<(page * pageByteCount)) }
        page += 1
      }
    }
  }

  /// Says that the blocks behind `offset` are gone, by other ways than ``punch(_:)``.
  func forgetSpace(from offset: Int) {
    guard let reserved else { return }
    reserved.remove((offset / pageByteCount)..<reserved.pageCount)
  }

  /// Gives back the whole pages of `range`, which nobody else uses; they read as zeros from then on.
  func punch(_ range: Range<Int>) throws(SystemCallFailure) {
    let first = (range.lowerBound + pageByteCount - 1) / pageByteCount
    let last = range.upperBound / pageByteCount
    guard first < last else { return }
    reserved?.remove(first..<last)
    try openForWriting().deallocate((first * pageByteCount)..<(last * pageByteCount))
  }

  // MARK: Bytes

  func copy(_ range: Range<Int>) throws(ChunkStoreError) -> [UInt8] {
    try withBytes(range) { (bytes) throws(ChunkStoreError) in bytes.copied(0..<range.count) }
  }

  func withBytes<R>(_ range: Range<Int>, _ body: (RawSpan) throws(ChunkStoreError) -> R) throws(ChunkStoreError) -> R {
    let result = try mapping.withBytes(range, failure: lostPage, body)
    // Another thread may have met the lost page, and this one the zeros in its place.
    if mapping.isFaulted { throw lostPage() }
    return result
  }

  /// Writes to bytes whose blocks are reserved.
  func write(_ bytes: [UInt8], at offset: Int) throws(ChunkStoreError) {
    noteChange()
    try mapping.withMutableBytes(
      offset..<(offset + bytes.count), failure: lostPage
    ) { (destination) throws(ChunkStoreError) in destination.copy(bytes, to: 0) }
    if mapping.isFaulted { throw lostPage() }
  }

  /// The first byte at or behind `offset` that is not in a hole; nil for none.
  func nextData(from offset: Int) throws(ChunkStoreError) -> Int? {
    try translating { () throws(SystemCallFailure) in
      try directory.open(id.fileName, .noFollow).nextData(from: offset)
    }
  }

  /// Up to where data that begins at `offset` goes.
  func nextHole(from offset: Int) throws(ChunkStoreError) -> Int {
    try translating { () throws(SystemCallFailure) in
      min(try directory.open(id.fileName, .noFollow).nextHole(from: offset), byteCount)
    }
  }

  // MARK: Durability

  /// Says that bytes have been written that the next flush must sync. Called when they are: a flush before counts not.
  @usableFromInline func noteChange() {
    if isMarkedChanged.exchange(true, ordering: .acquiringAndReleasing) { return }
    changed.insert(self)
  }

  /// Makes what was written so far durable.
  func sync() throws(SystemCallFailure) {
    isMarkedChanged.store(false, ordering: .sequentiallyConsistent)
    try openForWriting().syncData()
  }

  /// A mapping needs no descriptor, so that the number of open files does not grow with the store.
  private func openForWriting() throws(SystemCallFailure) -> File {
    try directory.open(id.fileName, [.write, .noFollow])
  }

  // MARK: Failure

  @usableFromInline func failure(_ failure: SystemCallFailure) -> ChunkStoreError {
    ChunkStoreError(
      .io, "chunk \(id): \(failure)", advice: "the file was cut short, or the device cannot read or write it")
  }

  private func lostPage(_ failure: SystemCallFailure) -> ChunkStoreError { self.failure(failure) }

  private func lostPage() -> ChunkStoreError {
    ChunkStoreError(
      .io, "chunk \(id): a page was lost while it was in use",
      advice: "the file was cut short, or the device cannot read or write it")
  }
}

/// The chunks that were written to since they were last synced.
final class ChangedChunks: Sendable {
  private let maps = Mutex<[ObjectIdentifier: ChunkMap]>([:])

  func insert(_ map: ChunkMap) { maps.withLock { $0[ObjectIdentifier(map)] = map } }

  /// Takes a chunk out whose file is to be removed.
  func remove(_ chunk: ChunkID) { maps.withLock { maps in maps = maps.filter { $0.value.id != chunk } } }

  /// Takes all out, in the order of their numbers.
  func takeAll() -> [ChunkMap] {
    let all = maps.withLock { maps in
      let all = maps
      maps = [:]
      return all
    }
    return all.values.sorted { $0.id < $1.id }
  }
}
