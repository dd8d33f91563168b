/// One thing to do under a memory limit, and how it is told that it was done.
enum MemoryOperation: String, CaseIterable, Sendable {
  case putSmall = "put-small"
  case putLarge = "put-large"
  case putVerified = "put-verified"
  case putSparse = "put-sparse"
  case putStream = "put-stream"
  case putResumable = "put-resumable"
  case putTree = "put-tree"
  case putBatch = "put-batch"
  case getSmall = "get-small"
  case getLarge = "get-large"
  case getRange = "get-range"
  case getStream = "get-stream"
  case getResumable = "get-resumable"
  case getSalvaging = "get-salvaging"
  case getTree = "get-tree"
  case verify
  case verifyFast = "verify-fast"
  case verifyFile = "verify-file"
  case rebuild
  case salvage
  case list
  case stats
  case delete
  /// Many threads of one process that use the library: put, get, verify and delete, all at once.
  case threads
  /// The same where files cannot be mapped.
  case threadsUnmapped = "threads-unmapped"

  /// What the outcome is compared with.
  enum Outcome: Sendable {
    /// The store has a file `new` with the bytes of this source.
    case stored(MemorySource)
    /// The store has all files of the tree, too.
    case storedTree
    /// The output file has these bytes.
    case restored(MemorySource)
    case restoredRange
    /// What was printed are the first bytes of this source.
    case printed(MemorySource)
    case restoredTree
    case salvaged
    case deleted
    case nothing
  }

  var isOfThreads: Bool { self == .threads || self == .threadsUnmapped }

  static let range = 5000..<9_000

  /// The words behind the global options; what is asked for is in `files`, what comes out goes to `output`.
  func words(_ files: MemorySources, output: String) -> [String] {
    let sparse = files.path(.sparse).description
    let (small, large) = (files.path(.small).description, files.path(.large).description)
    return switch self {
    case .putSmall: ["put", "--name", "new", small]
    case .putLarge: ["put", "--name", "new", large]
    case .putVerified: ["put", "--verify", "--name", "new", large]
    case .putSparse: ["put", "--name", "new", sparse]
    case .putStream: ["put", "--from-command", "cat '\(large)'", "--name", "new"]
    case .putResumable: ["put", "--resume", "--name", "new", large]
    case .putTree: ["put", "-r", files.tree.description]
    case .putBatch: ["put", "-r", "--batch", files.tree.description]
    case .getSmall: ["get", "small", "-o", output]
    case .getLarge: ["get", "large", "-o", output]
    case .getRange:
      ["get", "large", "--range", "\(Self.range.lowerBound)-\(Self.range.upperBound - 1)", "-o", output]
    case .getStream: ["get", "large", "-o", "-"]
    case .getResumable: ["get", "large", "--resume", "-o", output]
    case .getSalvaging: ["get", "large", "--salvage", "-o", output]
    case .getTree: ["get", "-r", "many", "-o", output]
    case .verify: ["verify"]
    case .verifyFast: ["verify", "--fast"]
    case .verifyFile: ["verify", "large"]
    case .rebuild: ["rebuild"]
    case .salvage: ["salvage", output]
    case .list: ["list"]
    case .stats: ["stats"]
    case .delete: ["delete", "large"]
    case .threads, .threadsUnmapped: []
    }
  }

  var outcome: Outcome {
    switch self {
    case .putSmall: .stored(.small)
    case .putLarge, .putVerified, .putStream, .putResumable: .stored(.large)
    case .putSparse: .stored(.sparse)
    case .putTree, .putBatch: .storedTree
    case .getSmall: .restored(.small)
    case .getLarge, .getResumable, .getSalvaging: .restored(.large)
    case .getRange: .restoredRange
    case .getStream: .printed(.large)
    case .getTree: .restoredTree
    case .salvage: .salvaged
    case .delete: .deleted
    case .verify, .verifyFast, .verifyFile, .rebuild, .list, .stats, .threads, .threadsUnmapped: .nothing
    }
  }
}
