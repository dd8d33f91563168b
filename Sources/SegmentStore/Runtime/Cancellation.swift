import Synchronization

/// Asks an operation to stop. It does so between two batches, undoes what it began, and throws `.cancelled`.
public final class Cancellation: Sendable {
  private let flag = Atomic(false)

  public init() {}

  public func cancel() { flag.store(true, ordering: .relaxed) }

  public var isCancelled: Bool { flag.load(ordering: .relaxed) }

  func check() throws(StoreError) {
    if isCancelled { throw StoreError(.cancelled, "interrupted; nothing of it was kept") }
  }
}
