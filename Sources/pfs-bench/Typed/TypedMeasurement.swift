import ChunkStore
import Console
import StorageIO

/// All of `pfs-bench typed` on one store.
struct TypedMeasurement: Sendable {
  let run: BenchRun
  /// Of the large array.
  let elementCount: Int
  /// How much is measured at a time.
  let roundCount: Int

  private var singleAccessCount: Int { 50_000 * roundCount }
  private static let kinds: [any MeasuredElement.Type] = [Int64.self, Double.self, MeasuredObject.self]

  func measure() throws(BenchFailure) -> FigureSet {
    let path = run.workspace.file("typed")
    let store = try BenchFailure.translating { () throws(ChunkStoreError) in
      try TypedStore.create(at: path)
      return try TypedStore(at: path)
    }
    var figures = FigureSet()
    let python = PythonPeer(run: run)
    let hasPython = try python.isAvailable()
    for kind in TypedMeasurement.kinds { declare(kind, hasPython: hasPython, in: &figures) }
    declareSingle(in: &figures)
    let numbers = try ElementAccess<Int64>(
      store: store, bareFile: run.workspace.file("int"), seed: run.settings.seed, roundCount: roundCount)
    let doubles = try ElementAccess<Double>(
      store: store, bareFile: run.workspace.file("double"), seed: run.settings.seed, roundCount: roundCount)
    let objects = try ElementAccess<MeasuredObject>(
      store: store, bareFile: run.workspace.file("object"), seed: run.settings.seed, roundCount: roundCount)
    for runNumber in 1...run.settings.runCount {
      let isPythonFirst = runNumber.isMultiple(of: 2)
      var peers = hasPython && isPythonFirst ? try python.speeds(seed: UInt64(runNumber)) : [:]
      var speeds: [String: Double] = [:]
      for operation in ElementOperation.allCases {
        try run.interruption.check()
        for (kind, speed) in [
          (Int64.kindName, try numbers.speeds(operation, run: runNumber)),
          (Double.kindName, try doubles.speeds(operation, run: runNumber)),
          (MeasuredObject.kindName, try objects.speeds(operation, run: runNumber)),
        ] {
          figures.add("\(kind)_\(operation.rawValue)_bare", run: runNumber, speed)
          speeds["\(kind)_\(operation.rawValue)"] = speed.value
        }
      }
      if hasPython && !isPythonFirst { peers = try python.speeds(seed: UInt64(runNumber)) }
      for (name, speed) in speeds {
        guard let peer = peers[name] else { continue }
        figures.add(name, run: runNumber, Comparison(value: speed, peer: peer, peerWasFirst: isPythonFirst))
      }
      try measureSingle(store, run: runNumber, into: &figures)
      try run.note("run \(runNumber)/\(run.settings.runCount) done")
    }
    try BenchFailure.translating { () throws(ChunkStoreError) in try store.close() }
    return figures
  }

  private func declare(_ kind: any MeasuredElement.Type, hasPython: Bool, in figures: inout FigureSet) {
    for operation in ElementOperation.allCases {
      let name = "\(kind.kindName)_\(operation.rawValue)"
      let title = "\(kind.kindName): \(operation.title)"
      figures.declare(
        Figure(
          name, title, .millionsPerSecond, beside: "ctypes over mmap", target: .atLeastRatio(20),
          skipReason: hasPython ? nil : "there is no python3"))
      figures.declare(
        Figure("\(name)_bare", title, .millionsPerSecond, beside: "bare pointers", target: .atLeastRatio(0.8)))
    }
  }

  private func declareSingle(in figures: inout FigureSet) {
    figures.declare(Figure("get_warm", "get of a warm key", .nanoseconds, target: .atMost(1000)))
    figures.declare(
      Figure("single_read", "reads, each a borrow of its own", .millionsPerSecond, target: .atLeast(10)))
    figures.declare(Figure("single_write", "writes, each a borrow of its own", .millionsPerSecond))
    figures.declare(Figure("large_fill", "fill of an array of \(elementCount) numbers", .gigabytesPerSecond))
    figures.declare(Figure("large_sum", "sum of an array of \(elementCount) numbers", .gigabytesPerSecond))
  }

  /// What takes a look-up or a borrow each time, and an array that may be larger than memory.
  private func measureSingle(
    _ store: TypedStore, run runNumber: Int, into figures: inout FigureSet
  ) throws(BenchFailure) {
    let count = singleAccessCount
    let seconds = try BenchFailure.translating { () throws(ChunkStoreError) -> [Double] in
      try store.put("object/warm", MeasuredObject(measured: 7))
      let array = try store.array("int", of: Int64.self)
      var sum: Int64 = 0
      var times = [MonotonicClock.seconds()]
      for _ in 0..<count { sum &+= try store.get("object/warm", as: MeasuredObject.self)?.number ?? 0 }
      times.append(MonotonicClock.seconds())
      for number in 0..<count { sum &+= try array[number & 0xFFFF] }
      times.append(MonotonicClock.seconds())
      for number in 0..<count { try array.set(number & 0xFFFF, to: sum &+ Int64(number)) }
      times.append(MonotonicClock.seconds())
      let large = try store.newArray("large", of: Int64.self, count: elementCount)
      try fill(large)
      times.append(MonotonicClock.seconds())
      try large.forEach { _, number in sum &+= number }
      times.append(MonotonicClock.seconds())
      try store.delete("large")
      precondition(sum != 0, "nothing was read")
      return zip(times, times.dropFirst()).map { $1 - $0 }
    }
    figures.add("get_warm", run: runNumber, seconds[0] / Double(count) * 1e9)
    figures.add("single_read", run: runNumber, Double(count) / seconds[1] / 1e6)
    figures.add("single_write", run: runNumber, Double(count) / seconds[2] / 1e6)
    figures.add("large_fill", run: runNumber, Double(elementCount * 8) / seconds[3] / 1e9)
    figures.add("large_sum", run: runNumber, Double(elementCount * 8) / seconds[4] / 1e9)
  }

  private func fill(_ array: FixedArray<Int64>) throws(ChunkStoreError) {
    let pieceCount = 1 << 17
    for start in stride(from: 0, to: array.count, by: pieceCount) {
      try array.withMutableElements(in: start..<min(start + pieceCount, array.count)) { elements in
        for index in 0..<elements.count { elements[index] = Int64(start + index) }
      }
    }
  }
}
