import Synchronization

/// Which pages of a large file are in a set: a bit a page, in memory of which only what was touched is taken.
///
/// Any thread may ask and insert at any time.
@safe public final class PageSet: Sendable {
  public let pageCount: Int
  private let memory: MemoryRegion
  private static let wordBitCount = 64

  /// An empty set of pages 0 ..< `pageCount`.
  public init(pageCount: Int) throws(SystemCallFailure) {
    precondition(pageCount > 0, "a file has a page at least")
    self.pageCount = pageCount
    memory = try MemoryRegion(byteCount: (pageCount + PageSet.wordBitCount - 1) / PageSet.wordBitCount * 8)
  }

  public func contains(_ page: Int) -> Bool {
    withWord(of: page) { word, bit in word.load(ordering: .acquiring) & bit != 0 }
  }

  public func containsAll(_ pages: Range<Int>) -> Bool {
    if pages.count == 1 { return contains(pages.lowerBound) }
    var hasAll = true
    forEachWord(of: pages) { word, bits in
      if word.load(ordering: .acquiring) & bits != bits { hasAll = false }
      return hasAll
    }
    return hasAll
  }

  public func insert(_ pages: Range<Int>) {
    forEachWord(of: pages) { word, bits in
      _ = word.bitwiseOr(bits, ordering: .acquiringAndReleasing)
      return true
    }
  }

  public func remove(_ pages: Range<Int>) {
    forEachWord(of: pages) { word, bits in
      // Memory in which nothing is set is not written to.
      if word.load(ordering: .acquiring) & bits != 0 { _ = word.bitwiseAnd(~bits, ordering: .acquiringAndReleasing) }
      return true
    }
  }

  /// Calls `body` with each word that has bits of `pages`, and those bits, until it says no.
  private func forEachWord(of pages: Range<Int>, _ body: (borrowing Atomic<UInt64>, UInt64) -> Bool) {
    var page = pages.lowerBound
    while page < pages.upperBound {
      let first = page % PageSet.wordBitCount
      let count = min(PageSet.wordBitCount - first, pages.upperBound - page)
      let bits = (UInt64.max >> UInt64(PageSet.wordBitCount - count)) << UInt64(first)
      guard withWord(of: page, { word, _ in body(word, bits) }) else { return }
      page += count
    }
  }

  private func withWord<R>(of page: Int, _ body: (borrowing Atomic<UInt64>, UInt64) -> R) -> R {
    precondition(0 <= page && page < pageCount, "page \(page) of \(pageCount)")
    // Safe: the word lies in the region, which `self` keeps, and an atomic of 64 bits is its 64 bits; all zeros at first.
    return unsafe memory.withWords(of: Atomic<UInt64>.self) { words in
      unsafe body(words[page / PageSet.wordBitCount], 1 << UInt64(page % PageSet.wordBitCount))
    }
  }
}
