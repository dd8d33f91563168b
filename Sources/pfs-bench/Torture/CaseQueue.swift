import Synchronization

/// Cases that several threads try, each of which takes the next when it is done with one.
final class CaseQueue<Case: Sendable>: Sendable {
  private let cases: [Case]
  private let nextIndex = Atomic(0)

  init(_ cases: [Case]) { self.cases = cases }

  /// The next case; nil when all are taken.
  func next() -> Case? {
    let index = nextIndex.wrappingAdd(1, ordering: .relaxed).oldValue
    return index < cases.count ? cases[index] : nil
  }
}
