import Codecs
import StorageIO

/// The bytes of one page of a file, with zeros behind the end of the file.
final class PageBytes: Sendable {
  static let byteCount = 4096
  static let sectorByteCount = 512
  static let zero = PageBytes([UInt8](repeating: 0, count: byteCount))

  let bytes: [UInt8]
  /// 0 for a page of zeros, and for no other.
  let hash: UInt64

  /// - Parameter bytes: a page, or less.
  init(_ bytes: [UInt8]) {
    precondition(bytes.count <= PageBytes.byteCount, "a page of \(bytes.count) bytes")
    self.bytes = bytes + [UInt8](repeating: 0, count: PageBytes.byteCount - bytes.count)
    hash = self.bytes.withRawSpan { span in
      if ZeroCheck.isAllZero(span) { return 0 }
      return max(1, ByteReader(Array(MD5.digest(of: span).bytes.prefix(8))).get(0))
    }
  }

  /// This page with `changed` at `offset`.
  func replacing(at offset: Int, with changed: ArraySlice<UInt8>) -> PageBytes {
    var copy = bytes
    copy.replaceSubrange(offset..<(offset + changed.count), with: changed)
    return PageBytes(copy)
  }

  func zeroing(_ range: Range<Int>) -> PageBytes {
    if range == 0..<PageBytes.byteCount { return .zero }
    return replacing(at: range.lowerBound, with: [UInt8](repeating: 0, count: range.count)[...])
  }

  /// A page of which only some sectors were written when the power went: those in `mask` are of this page, the
  /// others of `older`.
  func torn(over older: PageBytes, mask: UInt8) -> PageBytes {
    var mixed = older.bytes
    for sector in 0..<(PageBytes.byteCount / PageBytes.sectorByteCount) where mask >> UInt8(sector) & 1 == 1 {
      let range = (sector * PageBytes.sectorByteCount)..<((sector + 1) * PageBytes.sectorByteCount)
      mixed.replaceSubrange(range, with: bytes[range])
    }
    return PageBytes(mixed)
  }
}

/// What may be on the device of one file: for each page, and for the size, what was durable last and every version since.
///
/// The rules, which every file system for which POSIX and Linux speak keeps:
///
/// - A page is written back whenever the kernel likes, whole, and each for itself: any version since the last sync may
///   be the one that is there, whatever became of the others.
/// - A page that is being written when the power goes may be torn between two 512-byte sectors, never inside one.
/// - fsync, fdatasync: when it has returned, no page of the file is older than it was when the call was made, and nor is
///   the size. msync and a write with O_DSYNC: the same for the pages they touch, and for the size as far as it is needed
///   to read them. Until it has returned nothing is promised, not even an order.
/// - The size is metadata: it may come before the bytes, which then are zeros, or after them.
/// - A cut to a smaller size is one change of the file: when it is there, no page behind it has bytes from before; when it
///   is not, none has bytes from after it, for they are in blocks that the file does not have yet.
/// - Punched pages come one by one: file systems split such calls into several transactions. But each comes whole, since its
///   block is taken away and no bytes are written; and what is written there afterwards goes to a new one.
struct FileHistory: Sendable {
  struct PageVersion: Sendable {
    let page: PageBytes
    let event: Int
    /// Made by a cut of the file.
    let isCut: Bool
    /// Made by taking its block away.
    let isPunched: Bool
  }

  struct SizeVersion: Sendable {
    let byteCount: Int
    let event: Int
  }

  private(set) var durablePages: [PageBytes] = []
  /// What came since, oldest first; never empty.
  private(set) var pendingPages: [Int: [PageVersion]] = [:]
  private(set) var durableByteCount = 0
  private(set) var pendingSizes: [SizeVersion] = []

  init() {}

  /// One that was there before, and is durable.
  init(byteCount: Int, pages: [PageBytes]) {
    durableByteCount = byteCount
    durablePages = pages
  }

  var byteCount: Int { pendingSizes.last?.byteCount ?? durableByteCount }

  private func durablePage(_ number: Int) -> PageBytes {
    number < durablePages.count ? durablePages[number] : .zero
  }

  private func newestPage(_ number: Int) -> PageBytes { pendingPages[number]?.last?.page ?? durablePage(number) }

  // MARK: What is done to it

  mutating func write(_ bytes: [UInt8], at offset: Int, event: Int) {
    var done = 0
    while done < bytes.count {
      let (number, start) = (offset + done).quotientAndRemainder(dividingBy: PageBytes.byteCount)
      let count = min(bytes.count - done, PageBytes.byteCount - start)
      set(number, newestPage(number).replacing(at: start, with: bytes[done..<(done + count)]), event)
      done += count
    }
    if offset + bytes.count > byteCount { setSize(offset + bytes.count, event) }
  }

  /// Whether a page that was mapped has come to hold other bytes than zeros where there were other bytes than zeros.
  func isOverwritten(_ number: Int, by bytes: [UInt8]) -> Bool {
    zip(newestPage(number).bytes, bytes).contains { old, new in old != 0 && new != 0 && old != new }
  }

  mutating func setPage(_ number: Int, _ bytes: [UInt8], event: Int) { set(number, PageBytes(bytes), event) }

  mutating func zero(_ range: Range<Int>, event: Int) {
    for number in numbersOfPages.sorted() {
      let start = number * PageBytes.byteCount
      let part = range.clamped(to: start..<(start + PageBytes.byteCount))
      if part.isEmpty { continue }
      set(
        number, newestPage(number).zeroing((part.lowerBound - start)..<(part.upperBound - start)), event,
        isPunched: part.count == PageBytes.byteCount)
    }
  }

  mutating func resize(to byteCount: Int, event: Int) {
    if byteCount < self.byteCount {
      for number in numbersOfPages where (number + 1) * PageBytes.byteCount > byteCount {
        let kept = max(0, byteCount - number * PageBytes.byteCount)
        let page = newestPage(number).zeroing(kept..<PageBytes.byteCount)
        pendingPages[number, default: []].append(PageVersion(page: page, event: event, isCut: true, isPunched: false))
      }
    }
    if byteCount != self.byteCount { setSize(byteCount, event) }
  }

  /// Those that are, or were since the last sync, anything but zeros.
  private var numbersOfPages: Set<Int> {
    Set(pendingPages.keys).union(durablePages.indices.filter { durablePages[$0].hash != 0 })
  }

  private mutating func set(_ number: Int, _ page: PageBytes, _ event: Int, isPunched: Bool = false) {
    guard page.hash != newestPage(number).hash else { return }
    pendingPages[number, default: []].append(
      PageVersion(page: page, event: event, isCut: false, isPunched: isPunched))
  }

  private mutating func setSize(_ byteCount: Int, _ event: Int) {
    pendingSizes.append(SizeVersion(byteCount: byteCount, event: event))
  }

  // MARK: What a sync makes durable

  /// - Parameters:
  ///   - range: The bytes that were synced.
  ///   - event: What happened before it is durable.
  mutating func makeDurable(_ range: Range<Int>, before event: Int) {
    var sizeEvent = range.upperBound == .max ? event : -1
    for (number, versions) in pendingPages {
      let start = number * PageBytes.byteCount
      guard range.overlaps(start..<(start + PageBytes.byteCount)) else { continue }
      guard let last = versions.lastIndex(where: { $0.event < event }) else { continue }
      // A cut that a durable page has gone through is durable itself.
      if let cut = versions[...last].last(where: \.isCut) { sizeEvent = max(sizeEvent, cut.event + 1) }
      setDurable(number, versions[last].page)
      let rest = Array(versions[(last + 1)...])
      pendingPages[number] = rest.isEmpty ? nil : rest
    }
    // As much of the size as is needed to read the range.
    if let size = pendingSizes.last(where: { $0.event < event }),
      min(range.upperBound, size.byteCount) > durableByteCount
    {
      sizeEvent = event
    }
    if let last = pendingSizes.lastIndex(where: { $0.event < sizeEvent }) {
      durableByteCount = pendingSizes[last].byteCount
      pendingSizes.removeFirst(last + 1)
    }
  }

  private mutating func setDurable(_ number: Int, _ page: PageBytes) {
    if page.hash == 0 && number >= durablePages.count { return }
    while durablePages.count <= number { durablePages.append(.zero) }
    durablePages[number] = page
  }

  // MARK: What a crash may leave

  /// The pages of a file of `byteCount` bytes, some of them as `picks` has it: which version, 0 for the durable one.
  /// - Parameter sizePick: which version of the size, 0 for the durable one.
  func pages(
    sizePick: Int, _ picks: (_ page: Int, _ versions: ClosedRange<Int>) -> PageBytes
  ) -> (byteCount: Int, pages: [PageBytes]) {
    let byteCount = sizePick == 0 ? durableByteCount : pendingSizes[sizePick - 1].byteCount
    let sizeEvent = sizePick == 0 ? -1 : pendingSizes[sizePick - 1].event
    let count = (byteCount + PageBytes.byteCount - 1) / PageBytes.byteCount
    var pages = durablePages.count > count ? Array(durablePages[..<count]) : durablePages
    for (number, versions) in pendingPages where number < count {
      let oldest = versions.lastIndex { $0.isCut && $0.event <= sizeEvent }.map { $0 + 1 } ?? 0
      let newest = versions.firstIndex { $0.isCut && $0.event > sizeEvent } ?? versions.count
      let page = picks(number, oldest...max(oldest, newest))
      while pages.count <= number { pages.append(.zero) }
      pages[number] = page
    }
    return (byteCount, pages)
  }

  /// Whether a write of `newer` may have been cut short over `older`, with the block of the page the same in between.
  func canTear(_ page: Int, from older: Int, to newer: Int) -> Bool {
    guard older < newer, let versions = pendingPages[page] else { return false }
    return !versions[older..<newer].contains { $0.isPunched }
  }

  /// Version 0 is the durable one.
  func version(_ number: Int, of page: Int) -> PageBytes {
    guard number > 0, let versions = pendingPages[page] else { return durablePage(page) }
    return versions[number - 1].page
  }
}
