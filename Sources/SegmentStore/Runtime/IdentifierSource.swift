import LMDB
import Mutants
import StorageIO

/// Hands out ids that were never handed out before, to any thread of this process.
///
/// Ids come from counters in the index, in ranges that are durable before the first of them is used; what a crash leaves
/// of a range is never used. File ids are taken when a put begins and not ahead of it: the newest version of a name is
/// the one with the highest id, whichever process stored it.
final class IdentifierSource: Sendable {
  private struct State {
    var parts: Range<UInt64> = 0..<0
    var sequences: Range<UInt64> = 0..<0
  }

  static let partCount: UInt64 = 4096
  /// Plenty: at 65,536 a process, 64 bits last for 280 trillion of them.
  static let sequenceCount: UInt64 = 65_536

  private let index: Index
  private let state = Monitor(State())

  init(index: Index) { self.index = index }

  typealias Perform = (IndexJob) throws(StoreError) -> Void

  /// Takes the first ranges while the writer is entered anyway: one commit instead of three.
  func takeFirstRanges(from counters: inout Counters) throws(StoreError) {
    let parts = try counters.take(\.nextPart, IdentifierSource.partCount)
    if Mutant.reusePartIDs.isActive { counters.nextPart = parts.lowerBound }
    let sequences = try counters.take(\.nextSequence, IdentifierSource.sequenceCount)
    state.withLock { $0 = State(parts: parts, sequences: sequences) }
  }

  /// The ids of `count` files; their order is that of the puts that begin now.
  func takeFiles(_ count: Int, through perform: Perform) throws(StoreError) -> Range<UInt64> {
    try reserve(\.nextFile, UInt64(count), perform)
  }

  /// Gives file ids back that nobody has seen, if none were taken after them: so that people who store one thing after
  /// another see no gaps.
  func giveBackFiles(_ unused: Range<UInt64>, through perform: Perform) throws(StoreError) {
    let index = index
    guard !unused.isEmpty else { return }
    try perform(
      IndexJob { (transaction, _) throws(StoreError) in
        var counters = try index.counters(in: transaction)
        guard counters.nextFile == unused.upperBound else { return }
        counters.nextFile = unused.lowerBound
        try index.setCounters(counters, in: transaction)
      })
  }

  /// Part ids that follow one another.
  func takeParts(_ count: Int, through perform: Perform) throws(StoreError) -> PartExtent {
    let range = try take(count, \.parts, \.nextPart, IdentifierSource.partCount, perform)
    return PartExtent(first: PartID(rawValue: range.lowerBound), count: count)
  }

  func takeSequences(_ count: Int, through perform: Perform) throws(StoreError) -> Range<UInt64> {
    try take(count, \.sequences, \.nextSequence, IdentifierSource.sequenceCount, perform)
  }

  /// The next `count` numbers of a range, or of a new one of at least `rangeCount`.
  private func take(
    _ count: Int, _ range: WritableKeyPath<State, Range<UInt64>>,
    _ counter: any WritableKeyPath<Counters, UInt64> & Sendable, _ rangeCount: UInt64, _ perform: Perform
  ) throws(StoreError) -> Range<UInt64> {
    while true {
      let taken: Range<UInt64>? = state.withLock { state in
        guard state[keyPath: range].count >= count else { return nil }
        let first = state[keyPath: range].lowerBound
        state[keyPath: range] = (first + UInt64(count))..<state[keyPath: range].upperBound
        return first..<(first + UInt64(count))
      }
      if let taken { return taken }
      let fresh = try reserve(counter, max(UInt64(count), rangeCount), perform)
      state.withLock { if $0[keyPath: range].count < fresh.count { $0[keyPath: range] = fresh } }
    }
  }

  private func reserve(
    _ counter: any WritableKeyPath<Counters, UInt64> & Sendable, _ count: UInt64, _ perform: Perform
  ) throws(StoreError) -> Range<UInt64> {
    let index = index
    let reserved = Monitor<Range<UInt64>>(0..<0)
    try perform(
      IndexJob { (transaction, _) throws(StoreError) in
        var counters = try index.counters(in: transaction)
        let range = try counters.take(counter, count)
        try index.setCounters(counters, in: transaction)
        reserved.withLock { $0 = range }
      })
    return reserved.withLock { $0 }
  }
}
