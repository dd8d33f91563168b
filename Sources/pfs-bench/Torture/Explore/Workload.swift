/// A sequence of operations on one store, as text `SEED/init,put:a:tiny,delete:a`.
struct Workload: Hashable, Sendable {
  let seed: UInt64
  let operations: [StoreOperation]

  init(seed: UInt64, operations: [StoreOperation]) {
    self.seed = seed
    self.operations = operations
  }

  /// - Parameter seed: Where the text does not begin with one.
  /// - Throws: `.usage` with the word that is no operation.
  init(parsing text: String, seed: UInt64 = 1) throws(BenchFailure) {
    let halves = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    var given: UInt64? = seed
    if halves.count == 2 { given = UInt64(halves[0]) }
    guard let words = halves.last?.split(separator: ",", omittingEmptySubsequences: false), let given else {
      throw BenchFailure(.usage, "workload '\(text)': the seed is no number")
    }
    var operations: [StoreOperation] = []
    for word in words {
      guard let operation = StoreOperation(parsing: word) else {
        throw BenchFailure(.usage, "workload '\(text)': '\(word)' is no operation")
      }
      operations.append(operation)
    }
    self.init(seed: given, operations: operations)
  }

  var text: String { "\(seed)/" + operations.map(\.text).joined(separator: ",") }

  // MARK: What to try

  /// The operations whose sequences are all tried. A get is not among them: every state that is checked is read.
  static let alphabet: [StoreOperation] = [
    .put(name: "a", .tiny), .put(name: "a", .large), .batch, .delete(name: "a"), .verify, .compact, .reopen,
    .rebuild, .interrupted(name: "a"), .resume(name: "a"), .failing(name: "b"),
  ]

  /// All sequences of `length` operations on a new store; its making is not counted.
  static func bounded(length: Int, seed: UInt64) -> [Workload] {
    var sequences: [[StoreOperation]] = [[.initialize]]
    for _ in 0..<length {
      sequences = sequences.flatMap { sequence in alphabet.map { sequence + [$0] } }
    }
    return sequences.map { Workload(seed: seed, operations: $0) }
  }

  /// What leaves full segments in which much is dead: with a little or much alive in them, and with little or much room
  /// for it in the open one.
  private static let worn: [[StoreOperation]] = [
    [.put(name: "a", .tiny), .put(name: "b", .large), .delete(name: "b")],
    [.batch, .put(name: "a", .large), .put(name: "b", .large), .delete(name: "a")],
    // Many that are alive among as many that are not.
    [StoreOperation](repeating: .put(name: "a", .small), count: 9).flatMap { [$0, .put(name: "b", .small)] }
      + [.put(name: "c", .large)] + [StoreOperation](repeating: .delete(name: "b"), count: 9),
    [
      .put(name: "c", .large), .put(name: "b", .sparse), .put(name: "a", .large), .delete(name: "c"),
      .delete(name: "b"),
    ],
  ]

  /// Sequences in which a compaction has something to move: on each of the stores that are worn, a compaction with any
  /// operation before it, behind it, or neither.
  static func compacting(seed: UInt64) -> [Workload] {
    let others: [StoreOperation] = alphabet + [.delete(name: "b"), .delete(name: "c")]
    var sequences: [[StoreOperation]] = []
    for operations in worn {
      let before: [StoreOperation] = [.initialize] + operations
      sequences.append(before + [.compact])
      for other in others {
        sequences.append(before + [other, .compact])
        sequences.append(before + [.compact, other])
      }
    }
    return sequences.map { Workload(seed: seed, operations: $0) }
  }

  /// So many operations on a new store, by chance; most of them change something.
  static func random(seed: UInt64, operationCount: Int) -> Workload {
    var generator = SplitMix64(seed: seed)
    var operations: [StoreOperation] = [.initialize]
    while operations.count <= operationCount { operations.append(randomOperation(&generator)) }
    return Workload(seed: seed, operations: operations)
  }

  private static func randomOperation(_ generator: inout SplitMix64) -> StoreOperation {
    let name = StoreOperation.names[generator.below(StoreOperation.names.count)]
    switch generator.below(35) {
    case 0..<11:
      let sizes: [ContentSize] = [.tiny, .tiny, .small, .small, .large, .sparse, .empty]
      return .put(name: name, sizes[generator.below(sizes.count)])
    case 11..<18: return .delete(name: name)
    case 18..<20: return .batch
    case 20: return .get(name: name)
    case 21: return .verify
    case 22..<24: return .reopen
    case 24: return .rebuild
    case 25..<27: return .cancelled(name: name)
    case 27..<29: return .interrupted(name: name)
    case 29..<31: return .resume(name: name)
    case 31..<34: return .compact
    default: return .failing(name: name)
    }
  }

  // MARK: What is stored

  /// The files that operation `number` stores if it comes to its end, in the order of their ids.
  func contents(of number: Int) -> [(name: String, content: StoredContent)] {
    func content(_ size: ContentSize, _ index: Int = 0) -> StoredContent {
      StoredContent(seed: seed, number: 4 * number + index, size: size)
    }
    switch operations[number] {
    case .put(let name, let size): return [(name, content(size))]
    case .batch:
      let sizes: [ContentSize] = [.tiny, .small, .tiny]
      return zip(StoreOperation.names, sizes).enumerated().map { ($1.0, content($1.1, $0)) }
    case .cancelled(let name), .interrupted(let name), .failing(let name): return [(name, content(.large))]
    case .resume(let name):
      let interrupted = operations[..<number].lastIndex(of: .interrupted(name: name))
      return [(name, StoredContent(seed: seed, number: 4 * (interrupted ?? number), size: .large))]
    default: return []
    }
  }
}
