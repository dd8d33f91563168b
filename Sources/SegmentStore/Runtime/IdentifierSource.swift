import LMDB
import StorageIO

/// Hands out ids that were never handed out before, to any thread of this process.
///
/// Ids come from counters in the index, in ranges that are durable before the first of them is used; what a crash
/// leaves of a range is never used. A clean end gives the unused end of the file ids back, so that people who store
/// one file after another see 1, 2, 3.
final class IdentifierSource: Sendable {
  private struct State {
    var files: Range<UInt64> = 0..<0
    var parts: Range<UInt64> = 0..<0
    var sequences: Range<UInt64> = 0..<0
    /// The next range of file ids is this long: one at first, more for those who come again.
    var nextFileCount: UInt64 = 1
  }

  private static let maximumFileCount: UInt64 = 1024
  private static let partCount: UInt64 = 4096
  /// Plenty: at 65,536 a process, 64 bits last for 280 trillion of them.
  private static let sequenceCount: UInt64 = 65_536

  private let index: Index
  private let state = Monitor(State())

  init(index: Index) { self.index = index }

  /// Takes the first range of each kind while the writer is entered anyway: one commit instead of four.
  func takeFirstRanges(from counters: inout Counters) throws(StoreError) {
    let (fileCount, partCount, sequenceCount) = (UInt64(1), IdentifierSource.partCount, IdentifierSource.sequenceCount)
    let files = try IdentifierSource.take(fileCount, from: &counters.nextFile)
    let parts = try IdentifierSource.take(partCount, from: &counters.nextPart)
    let sequences = try IdentifierSource.take(sequenceCount, from: &counters.nextSequence)
    state.withLock { $0 = State(files: files, parts: parts, sequences: sequences, nextFileCount: 4) }
  }

  typealias Perform = (IndexJob) throws(StoreError) -> Void

  func takeFile(through perform: Perform) throws(StoreError) -> FileID {
    while true {
      let taken: UInt64? = state.withLock { $0.files.popFirst() }
      if let taken { return FileID(rawValue: taken) }
      let count = state.withLock { state in
        defer { state.nextFileCount = min(state.nextFileCount * 4, IdentifierSource.maximumFileCount) }
        return state.nextFileCount
      }
      let range = try reserve(\.nextFile, count, perform)
      state.withLock { if $0.files.isEmpty { $0.files = range } }
    }
  }

  /// Part ids that follow one another.
  func takeParts(_ count: Int, through perform: Perform) throws(StoreError) -> PartExtent {
    while true {
      let taken: PartExtent? = state.withLock { state in
        guard state.parts.count >= count else { return nil }
        let first = state.parts.lowerBound
        state.parts = (first + UInt64(count))..<state.parts.upperBound
        return PartExtent(first: PartID(rawValue: first), count: count)
      }
      if let taken { return taken }
      let range = try reserve(\.nextPart, max(UInt64(count), IdentifierSource.partCount), perform)
      state.withLock { if $0.parts.count < range.count { $0.parts = range } }
    }
  }

  func takeSequences(_ count: Int, through perform: Perform) throws(StoreError) -> Range<UInt64> {
    while true {
      let taken: Range<UInt64>? = state.withLock { state in
        guard state.sequences.count >= count else { return nil }
        let first = state.sequences.lowerBound
        state.sequences = (first + UInt64(count))..<state.sequences.upperBound
        return first..<(first + UInt64(count))
      }
      if let taken { return taken }
      let range = try reserve(\.nextSequence, max(UInt64(count), IdentifierSource.sequenceCount), perform)
      state.withLock { if $0.sequences.count < range.count { $0.sequences = range } }
    }
  }

  /// Gives the file ids that nobody has seen back, if nobody took ids after them. Nothing is taken after this.
  func giveBackFiles(in transaction: borrowing WriteTransaction) throws(StoreError) {
    let unused = state.withLock { $0.files }
    var counters = try index.counters(in: transaction)
    guard !unused.isEmpty, counters.nextFile == unused.upperBound else { return }
    counters.nextFile = unused.lowerBound
    try index.setCounters(counters, in: transaction)
  }

  private func reserve(
    _ counter: any WritableKeyPath<Counters, UInt64> & Sendable, _ count: UInt64, _ perform: Perform
  ) throws(StoreError) -> Range<UInt64> {
    let index = index
    let reserved = Monitor<Range<UInt64>>(0..<0)
    try perform(
      IndexJob { (transaction, _) throws(StoreError) in
        var counters = try index.counters(in: transaction)
        let range = try IdentifierSource.take(count, from: &counters[keyPath: counter])
        try index.setCounters(counters, in: transaction)
        reserved.withLock { $0 = range }
      })
    return reserved.withLock { $0 }
  }

  private static func take(_ count: UInt64, from counter: inout UInt64) throws(StoreError) -> Range<UInt64> {
    let (end, overflowed) = counter.addingReportingOverflow(count)
    guard !overflowed else { throw StoreError(index: FormatFailure(.damaged, "a counter has reached its end")) }
    defer { counter = end }
    return counter..<end
  }
}

extension Range<UInt64> {
  fileprivate mutating func popFirst() -> UInt64? {
    guard let first else { return nil }
    self = (first + 1)..<upperBound
    return first
  }
}
