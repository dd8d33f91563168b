import Synchronization

/// The objects that are open, by key: one for each, so that all who use an object wait for the same lock.
final class OpenObjects: Sendable {
  enum LookUp {
    case found(StoredObject)
    /// Not open. The stamp says so to ``insert(_:stamp:)``.
    case missing(stamp: UInt64)
  }

  private struct State {
    var objects: [ChunkKey: StoredObject] = [:]
    /// Rises when an object ceases to be the one of its key.
    var stamp: UInt64 = 0
    var limit = OpenObjects.keptCount
  }

  /// Objects that nobody uses are kept open up to so many.
  private static let keptCount = 65_536
  private let state = Mutex(State())

  func find(_ key: ChunkKey) -> LookUp {
    state.withLock { state in
      state.objects[key].map { .found($0) } ?? .missing(stamp: state.stamp)
    }
  }

  /// Adds an object that was just opened, unless another thread has done so: gives the one that counts.
  /// - Returns: Nil when some object was replaced or removed since `stamp`: look again.
  func insert(_ object: StoredObject, stamp: UInt64) -> StoredObject? {
    state.withLock { state in
      if let existing = state.objects[object.key] { return existing }
      guard state.stamp == stamp else { return nil }
      OpenObjects.makeRoom(&state)
      state.objects[object.key] = object
      return object
    }
  }

  /// The object of `key` is `object` from now on, or there is none.
  func replace(_ key: ChunkKey, with object: StoredObject?) {
    state.withLock { state in
      state.stamp += 1
      state.objects[key] = object
    }
  }

  private static func makeRoom(_ state: inout State) {
    guard state.objects.count >= state.limit else { return }
    for index in state.objects.indices.reversed() where isKnownUniquelyReferenced(&state.objects.values[index]) {
      state.objects.remove(at: index)
    }
    state.limit = max(keptCount, 2 * state.objects.count)
  }
}
