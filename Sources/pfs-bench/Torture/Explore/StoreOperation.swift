/// One step of a workload, as text `put:a:tiny`.
///
/// What it stores is made from the seed of the workload and its place in it, so no two versions are alike.
enum StoreOperation: Hashable, Sendable {
  /// Makes the store.
  case initialize
  case put(name: String, ContentSize)
  /// Stores one file under each of the three names, visible together.
  case batch
  /// Reads the newest version and compares it.
  case get(name: String)
  /// Deletes the newest version; an error where there is none.
  case delete(name: String)
  case verify
  /// Moves what is alive out of all segments from which space can be had.
  case compact
  /// Closes the store and opens it again.
  case reopen
  /// Closes the store, makes its index anew and opens it again.
  case rebuild
  /// A put that is stopped half-way and rolled back.
  case cancelled(name: String)
  /// A put that is stopped half-way and kept, to be gone on with.
  case interrupted(name: String)
  /// Goes on with the put that was interrupted last, or stores a file of its own where none was.
  case resume(name: String)
  /// A put whose source turns out to be no good at its end.
  case failing(name: String)

  static let names = ["a", "b", "c"]

  var text: String {
    switch self {
    case .initialize: "init"
    case .put(let name, let size): "put:\(name):\(size.rawValue)"
    case .batch: "batch"
    case .get(let name): "get:\(name)"
    case .delete(let name): "delete:\(name)"
    case .verify: "verify"
    case .compact: "compact"
    case .reopen: "reopen"
    case .rebuild: "rebuild"
    case .cancelled(let name): "cancelled:\(name)"
    case .interrupted(let name): "interrupted:\(name)"
    case .resume(let name): "resume:\(name)"
    case .failing(let name): "failing:\(name)"
    }
  }

  init?(parsing text: Substring) {
    let words = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    let operation: StoreOperation? =
      switch words.count {
      case 1: StoreOperation.simple.first { $0.text == words[0] }
      case 2: StoreOperation.named(words[1]).first { $0.text == text }
      case 3: ContentSize(rawValue: words[2]).map { .put(name: words[1], $0) }
      default: nil
      }
    guard let operation, operation.text == text, words.count == 1 || StoreOperation.names.contains(words[1]) else {
      return nil
    }
    self = operation
  }

  static let simple: [StoreOperation] = [.initialize, .batch, .verify, .compact, .reopen, .rebuild]

  static func named(_ name: String) -> [StoreOperation] {
    [
      .get(name: name), .delete(name: name), .cancelled(name: name), .interrupted(name: name), .resume(name: name),
      .failing(name: name),
    ]
  }
}

/// How large a stored file is, beside parts of 4 KiB and segments of 64 KiB.
enum ContentSize: String, Hashable, Sendable, CaseIterable {
  case empty
  case tiny
  /// One part.
  case small
  /// Several batches of parts in several segments.
  case large
  /// Holes between data.
  case sparse

  var byteCount: Int {
    switch self {
    case .empty: 0
    case .tiny: 100
    case .small: 3500
    case .large: 140_000
    case .sparse: 150_000
    }
  }
}

extension StoreOperation {
  /// Whether it stores nothing, and says so by an error.
  var mustFail: Bool {
    switch self {
    case .cancelled, .interrupted, .failing: true
    default: false
    }
  }
}
