import ChunkStore
import Console
import StorageIO

/// Reads and writes of the elements of one array of a store, and of one mapped file by bare pointers.
/// Belongs to one thread.
struct ElementAccess<Element: MeasuredElement> {
  static var count: Int { 256 * 256 }
  /// Slices of a measurement, of both in turn; the best of each counts, since others take the processor away.
  private static var sliceCount: Int { 8 }

  /// So often are all elements visited in a slice.
  private let roundCount: Int

  private let array: FixedArray<Element>
  private let bare: BareElements<Element>
  private let order: [Int]

  init(store: TypedStore, bareFile: FilePath, seed: UInt64, roundCount: Int) throws(BenchFailure) {
    self.roundCount = roundCount
    var generator = SplitMix64(seed: seed)
    let order = generator.shuffled(Array(0..<Self.count))
    self.order = order
    array = try BenchFailure.translating { () throws(ChunkStoreError) in
      try store.newArray("\(Element.kindName)", of: Element.self, count: Self.count, durability: .staged)
    }
    bare = try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(bareFile, [.write, .createNew])
      let byteCount = Self.count * MemoryLayout<Element>.stride
      try file.allocate(0..<byteCount)
      let mapping = try MappedFile(file, byteCount: byteCount, isWritable: true, pages: .ordinary)
      return BareElements(mapping, of: Element.self, at: 0, count: Self.count, order: order)
    }
  }

  /// Elements a second, in millions, of the store and of bare pointers.
  func speeds(_ operation: ElementOperation, run runNumber: Int) throws(BenchFailure) -> Comparison {
    var (storedSum, bareSum): (Int64, Int64) = (0, 0)
    var slices: [Comparison] = []
    for slice in 0..<Self.sliceCount {
      slices.append(
        try alternating(
          runNumber + slice,
          { () throws(BenchFailure) in try speed { () throws(BenchFailure) in storedSum = try visit(operation) } },
          { () throws(BenchFailure) in try speed { () throws(BenchFailure) in bareSum = visitBare(operation) } }))
    }
    // Nothing that was measured may be left out for want of a use, or be another thing.
    guard storedSum == bareSum else {
      throw BenchFailure(.different, "\(Element.kindName) \(operation.title): sums \(storedSum) and \(bareSum)")
    }
    return Comparison(
      value: slices.map(\.value).max() ?? 0, peer: slices.map(\.peer).max() ?? 0,
      peerWasFirst: runNumber.isMultiple(of: 2))
  }

  private func speed(_ body: () throws(BenchFailure) -> Void) throws(BenchFailure) -> Double {
    let start = MonotonicClock.seconds()
    try body()
    return Double(Self.count * roundCount) / (MonotonicClock.seconds() - start) / 1e6
  }

  private func visit(_ operation: ElementOperation) throws(BenchFailure) -> Int64 {
    let (array, order) = (array, order)
    var sum: Int64 = 0
    try BenchFailure.translating { () throws(ChunkStoreError) in
      for round in 0..<roundCount {
        switch operation {
        case .sequentialRead:
          try array.withElements { elements in
            for index in 0..<elements.count { sum &+= elements[index].measured }
          }
        case .randomRead:
          try array.forEach(at: order) { sum &+= $0.measured }
        case .sequentialWrite:
          try array.withMutableElements(in: array.indices) { elements in
            for index in 0..<elements.count { elements[index] = Element(measured: index &+ round) }
          }
        case .randomWrite:
          try array.withMutableElements(in: array.indices) { elements in
            var position = 0
            for index in order {
              elements[index] = Element(measured: position &+ round)
              position += 1
            }
          }
        }
      }
    }
    return sum
  }

  private func visitBare(_ operation: ElementOperation) -> Int64 {
    let bare = bare
    var sum: Int64 = 0
    for round in 0..<roundCount {
      switch operation {
      case .sequentialRead: bare.readSequentially { sum &+= $0.measured }
      case .randomRead: bare.readInOrder { sum &+= $0.measured }
      case .sequentialWrite: bare.writeSequentially { Element(measured: $0 &+ round) }
      case .randomWrite: bare.writeInOrder { Element(measured: $0 &+ round) }
      }
    }
    return sum
  }
}
