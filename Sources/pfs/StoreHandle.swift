import CommandSupport
import Console
import SegmentStore
import StorageIO

/// The store of this process: opened by the command that first needs it, shared by all, closed once at the end.
final class StoreHandle: Sendable {
  private enum State {
    case closed
    /// One thread opens it; the others wait.
    case opening
    case open(Store)
  }

  let path: FilePath
  private let configuration: Monitor<Store.Configuration>
  private let partByteCount: Int?
  private let state = Monitor(State.closed)

  init(_ settings: Settings) {
    path = settings.storePath
    configuration = Monitor(settings.store)
    partByteCount = settings.partByteCount
  }

  /// Says which interrupted puts an open that is still to come has to keep.
  func willResume(_ names: ResumedNames) { configuration.withLock { $0.resumedNames = names } }

  /// Says that the process will have the store open for long.
  func willStayOpen() { configuration.withLock { $0.compactsInBackground = true } }

  /// The store, which must be there.
  func store() throws(StoreError) -> Store {
    try store { () throws(StoreError) in try openStore() }
  }

  /// The store, which must be there and is left as it is, whatever a writer that died has left in it.
  func storeToLookAt() throws(StoreError) -> Store {
    try store { () throws(StoreError) in
      var configuration = configuration.withLock { $0 }
      configuration.recoversAtOpen = false
      return try Store(at: path, configuration)
    }
  }

  /// The segments of the store without its index: a store of its own, which belongs to the caller.
  func segmentsAlone() throws(StoreError) -> Store {
    var configuration = configuration.withLock { $0 }
    configuration.opensIndex = false
    return try Store(at: path, configuration)
  }

  /// The store, made when there is nothing at its path.
  /// - Parameter made: called when it was made.
  func storeMakingOne(made: (FilePath) -> Void) throws(StoreError) -> Store {
    try store { () throws(StoreError) in
      do throws(StoreError) {
        return try openStore()
      } catch  where error.code == .noStore || error.code == .notAStore {
        do throws(StoreError) {
          try Store.create(at: path, creationOptions)
          made(path)
        } catch  where error.code == .exists {
          // Made by another process meanwhile, or something that is not a store and not empty: opening it tells.
        }
        return try openStore()
      }
    }
  }

  private func openStore() throws(StoreError) -> Store { try Store(at: path, configuration.withLock { $0 }) }

  /// What a new store is like, unless its maker says otherwise.
  var creationOptions: Store.CreationOptions {
    var options = Store.CreationOptions()
    if let partByteCount { options.partByteCount = partByteCount }
    return options
  }

  /// Closes the store if it is open. No command may run.
  func close() throws(StoreError) {
    let open = state.wait { state -> Store?? in
      switch state {
      case .opening: return nil
      case .closed: return .some(nil)
      case .open(let store):
        state = .closed
        return store
      }
    }
    try open?.close()
  }

  private func store(_ open: () throws(StoreError) -> Store) throws(StoreError) -> Store {
    let existing = state.wait { state -> Store?? in
      switch state {
      case .opening: return nil
      case .open(let store): return store
      case .closed:
        state = .opening
        return .some(nil)
      }
    }
    if let existing { return existing }
    do throws(StoreError) {
      let store = try open()
      state.withLock { $0 = .open(store) }
      return store
    } catch {
      state.withLock { $0 = .closed }
      throw error
    }
  }
}
