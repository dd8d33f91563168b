import ChunkStore
import StorageIO

/// What is done to a store of typed objects, the same for the same seed, and what must then be in it.
struct TypedWorkload: Sendable {
  enum Operation: Hashable, Sendable {
    case create
    /// Values, each durable by itself or all with one flush.
    case put(keys: [String], isGroup: Bool)
    /// An array whose elements are all set before it is durable.
    case fill(String)
    /// All elements of an array, in place.
    case update(String)
    case seal(String)
    case delete(String)
    case compact
    case reopen
  }

  /// What an object holds: the number of the operation that gave it its elements.
  struct Content: Hashable, Sendable {
    var number: Int
    var isSealed = false
  }

  typealias Contents = [String: Content]

  /// More than a page, and no multiple of one.
  static let elementCount = 700
  private static let operationCount = 24

  let operations: [Operation]
  /// Before the first operation, and behind each.
  let contents: [Contents]

  init(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    var operations: [Operation] = [.create]
    var contents: [Contents] = [[:], [:]]
    var current: Contents = [:]
    while operations.count < TypedWorkload.operationCount {
      let operation = TypedWorkload.operation(&generator, current)
      TypedWorkload.apply(operation, number: operations.count, to: &current)
      operations.append(operation)
      contents.append(current)
    }
    self.operations = operations
    self.contents = contents
  }

  static func isArray(_ key: String) -> Bool { key.hasPrefix("array") }

  private static func operation(_ generator: inout SplitMix64, _ current: Contents) -> Operation {
    let array = "array\(generator.below(5))"
    switch generator.below(10) {
    case 0, 1: return .put(keys: ["value\(generator.below(4))"], isGroup: false)
    case 2: return .put(keys: (0..<4).map { "value\($0)" }, isGroup: true)
    case 3, 4, 5:
      guard let content = current[array] else { return .fill(array) }
      return content.isSealed ? .delete(array) : .update(array)
    case 6: return current[array].map { $0.isSealed } == false ? .seal(array) : .reopen
    case 7: return current[array] == nil ? .fill(array) : .delete(array)
    case 8: return .compact
    default: return .reopen
    }
  }

  private static func apply(_ operation: Operation, number: Int, to contents: inout Contents) {
    switch operation {
    case .create, .compact, .reopen: break
    case .put(let keys, _): for key in keys { contents[key] = Content(number: number) }
    case .fill(let key), .update(let key): contents[key] = Content(number: number)
    case .seal(let key): contents[key]?.isSealed = true
    case .delete(let key): contents[key] = nil
    }
  }
}

/// Does the operations of a workload, with a mark before and behind each.
struct TypedActor {
  let workload: TypedWorkload
  let path: FilePath

  static let chunkByteCount = 64 << 10

  func run(_ mark: (String) throws(BenchFailure) -> Void) throws(BenchFailure) {
    var store: TypedStore?
    for (number, operation) in workload.operations.enumerated() {
      try mark("begin \(number)\n")
      try BenchFailure.translating { () throws(ChunkStoreError) in
        switch operation {
        case .create:
          try TypedStore.create(at: path, chunkByteCount: TypedActor.chunkByteCount)
          store = try TypedStore(at: path)
        case .reopen:
          try store?.close()
          store = try TypedStore(at: path)
        default:
          if let store { try perform(operation, number, on: store) }
        }
      }
      try mark("done \(number)\n")
    }
    try BenchFailure.translating { () throws(ChunkStoreError) in try store?.close() }
  }

  private func perform(_ operation: TypedWorkload.Operation, _ number: Int, on store: TypedStore)
    throws(ChunkStoreError)
  {
    switch operation {
    case .create, .reopen: break
    case .put(let keys, let isGroup):
      for key in keys {
        try store.put("\(key)", MeasuredObject(measured: number), durability: isGroup ? .staged : .synced)
      }
      if isGroup { try store.flush() }
    case .fill(let key):
      let array = try store.newArray(
        "\(key)", of: Int64.self, count: TypedWorkload.elementCount, durability: .staged)
      try fill(array, number)
      try store.flush()
    case .update(let key):
      try fill(try store.array("\(key)"), number)
      try store.flush()
    case .seal(let key): try store.seal("\(key)")
    case .delete(let key): try store.delete("\(key)")
    case .compact: _ = try store.compact(liveShare: 0.9)
    }
  }

  private func fill(_ array: FixedArray<Int64>, _ number: Int) throws(ChunkStoreError) {
    try array.withMutableElements(in: array.indices) { elements in
      for index in 0..<elements.count { elements[index] = Int64(number) }
    }
  }
}
