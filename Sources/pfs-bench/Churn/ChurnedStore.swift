import SegmentStore
import StorageIO

/// A store in the workspace that is used by this process, and the sources of what is put into it.
struct ChurnedStore: Sendable {
  let store: Store
  private let run: BenchRun
  private let name: String

  /// Makes a store, with segments and workers as they are wanted.
  /// - Parameter compacting: whether it compacts itself, as it does for those who do not say.
  init(_ name: String, _ settings: ChurnSettings, compacting: Bool = false, _ run: BenchRun) throws(BenchFailure) {
    self.run = run
    self.name = name
    let path = run.workspace.file(name)
    store = try BenchFailure.translating { () throws(StoreError) in
      var options = Store.CreationOptions()
      options.segmentByteCount = settings.segmentByteCount
      options.partByteCount = min(options.partByteCount, settings.segmentByteCount / 2)
      try Store.create(at: path, options)
      var configuration = Store.Configuration()
      configuration.workerCount = run.settings.workerCount
      configuration.compactsInBackground = compacting
      return try Store(at: path, configuration)
    }
  }

  var path: FilePath { run.workspace.file(name) }

  /// Closes the store and removes it.
  func remove() throws(BenchFailure) {
    try close()
    try run.workspace.remove(name)
  }

  func close() throws(BenchFailure) {
    try BenchFailure.translating { () throws(StoreError) in try store.close() }
  }

  /// Stores a file as it is, durably.
  func put(_ source: FilePath, as name: String) throws(BenchFailure) -> StoredFile {
    try BenchFailure.translating { () throws(StoreError) in
      var options = PutOptions()
      options.encoding = .stored
      return try store.put(.file(source), as: try FileName(Array(name.utf8)), options)
    }
  }

  /// Stores one file `count` times by some threads, which share commits.
  /// - Returns: The ids, in order.
  func put(_ source: FilePath, count: Int) throws(BenchFailure) -> [FileID] {
    let ids = Monitor<[FileID]>([])
    let interruption = run.interruption
    try ParallelWork.run(count: count, workerCount: 8, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      try interruption.check()
      let id = try put(source, as: "f\(number)").id
      ids.withLock { $0.append(id) }
    }
    return ids.withLock { $0.sorted() }
  }

  func delete(_ id: FileID) throws(BenchFailure) {
    try BenchFailure.translating { () throws(StoreError) in try store.delete(id) }
  }

  /// Deletes many files, which share commits.
  func delete(_ files: [StoredFile]) throws(BenchFailure) {
    let failure = Monitor<StoreError?>(nil)
    try BenchFailure.translating { () throws(StoreError) in
      _ = try store.delete(
        produce: { (handOver: (StoredFile) throws(StoreError) -> Void) throws(StoreError) in
          for file in files { try handOver(file) }
        },
        onFailed: { _, error in failure.withLock { $0 = $0 ?? error } })
      if let error = failure.withLock({ $0 }) { throw error }
    }
  }

  /// Reads a file to its end, every byte verified.
  func get(_ id: FileID, to output: File) throws(BenchFailure) {
    try BenchFailure.translating { () throws(StoreError) in _ = try store.get(id, to: .stream(output)) }
  }

  /// Brings the disk down to `ratio` times what is alive.
  @discardableResult func compact(to ratio: Double) throws(BenchFailure) -> CompactionSummary {
    try BenchFailure.translating { () throws(StoreError) in
      var options = CompactionOptions()
      options.targetRatio = ratio
      return try store.compact(options)
    }
  }

  static func nowhere() throws(BenchFailure) -> File {
    try BenchFailure.translating { () throws(SystemCallFailure) in try File.open("/dev/null", .write) }
  }
}

extension BenchRun {
  /// Makes a file of the first bytes of the corpus, which come again after 4 MiB.
  func makeSource(_ name: String, byteCount: Int) throws(BenchFailure) -> FilePath {
    let path = workspace.file(name)
    let bytes = Array(BenchCorpus(.compressible, seed: settings.seed).section(0).prefix(byteCount))
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(path, [.write, .createNew])
      for offset in stride(from: 0, to: byteCount, by: bytes.count) {
        try file.write(Array(bytes.prefix(byteCount - offset)), at: offset)
      }
      try file.sync()
    }
    return path
  }
}
