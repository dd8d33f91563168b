import CommandSupport
import StorageIO

/// The same reads and writes by Python's ctypes over mmap, which is how structchunk does them.
struct PythonPeer: Sendable {
  let run: BenchRun

  /// Elements a second, in millions, by kind and operation.
  func speeds(seed: UInt64) throws(BenchFailure) -> [String: Double] {
    let file = run.workspace.file("python-\(seed)")
    let outcome = try run.interruption.run(
      Array("/usr/bin/env".utf8),
      ["python3", "-c", PythonPeer.script].map { Array($0.utf8) } + [file.bytes, Array("\(256 * 256)".utf8)]
        + [Array("\(seed)".utf8)]
    ).outcome
    try requireSuccess(outcome, "python3")
    try run.workspace.remove("python-\(seed)")
    var speeds: [String: Double] = [:]
    for line in String(decoding: outcome.standardOutput, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, let speed = Double(words[1]) { speeds[String(words[0])] = speed }
    }
    return speeds
  }

  /// Whether there is a python3 with ctypes.
  func isAvailable() throws(BenchFailure) -> Bool {
    let arguments = ["python3", "-c", "import ctypes, mmap"].map { Array($0.utf8) }
    return try run.interruption.run(Array("/usr/bin/env".utf8), arguments).outcome.exitStatus == 0
  }

  private static let script = """
    import ctypes, mmap, random, sys, time
    path, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

    class Item(ctypes.Structure):
        _fields_ = [("number", ctypes.c_int64), ("x", ctypes.c_double), ("y", ctypes.c_double),
                    ("flags", ctypes.c_int32)]

    def put_item(items, index, number):
        item = items[index]
        item.number = number
        item.x = number
        item.y = 0.5
        item.flags = 1

    order = list(range(count))
    random.Random(seed).shuffle(order)
    with open(path, "w+b") as file:
        file.truncate(count * ctypes.sizeof(Item))
        memory = mmap.mmap(file.fileno(), 0)
        for kind, type in (("int", ctypes.c_int64), ("double", ctypes.c_double), ("object", Item)):
            items = (type * count).from_buffer(memory)
            for name, indices in (("sequential", range(count)), ("random", order)):
                best = {"write": 0.0, "read": 0.0}
                for _ in range(3):
                    start = time.perf_counter()
                    if kind == "object":
                        for index in indices: put_item(items, index, index)
                    else:
                        for index in indices: items[index] = index
                    middle = time.perf_counter()
                    total = 0
                    if kind == "object":
                        for index in indices: total += items[index].number
                    else:
                        for index in indices: total += items[index]
                    end = time.perf_counter()
                    best["write"] = max(best["write"], count / (middle - start) / 1e6)
                    best["read"] = max(best["read"], count / (end - middle) / 1e6)
                for operation in best:
                    print(f"{kind}_{name}_{operation} {best[operation]:.6f}")
            del items
    """
}
