import CommandSupport
import Console
import SegmentStore
import StorageIO

/// A process that the layer `memory` starts itself as: many threads that share a store under one memory limit.
enum MemoryWorker {
  static let name = "memory-worker"
  private static let threadCount = 10

  /// `STORE SOURCES OUTPUT KIBIBYTES WORKERS MAPPED`: exit status 2 and the message for a limit that is too small.
  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let words = arguments.map { String(decoding: $0, as: UTF8.self) }
    guard words.count == 6, let kibibytes = Int(words[3]), let workerCount = Int(words[4]) else {
      throw BenchFailure(.usage, "memory-worker STORE SOURCES OUTPUT KIBIBYTES WORKERS MAPPED")
    }
    var configuration = Store.Configuration()
    configuration.memoryByteCount = kibibytes << 10
    configuration.workerCount = workerCount
    configuration.isMapped = words[5] == "mapped" ? nil : false
    let (sources, output) = (FilePath(words[1]), FilePath(words[2]))
    let store: Store
    do throws(StoreError) { store = try Store(at: FilePath(words[0]), configuration) } catch {
      throw BenchFailure(error.code == .memoryLimitTooSmall ? .usage : .failed, "\(error.message)")
    }
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(output) }
    try ParallelWork.run(count: threadCount, workerCount: threadCount, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      try BenchFailure.translating { () throws(StoreError) in try act(number, store, sources, output) }
    }
    try BenchFailure.translating { () throws(StoreError) in try store.close() }
  }

  /// Puts of files and streams, gets to both, a verification and deletes: each thread another mix.
  private static func act(
    _ number: Int, _ store: Store, _ sources: FilePath, _ output: FilePath
  ) throws(StoreError) {
    let large = sources.appending(MemorySource.large.rawValue)
    let name = try FileName(Array("thread-\(number)".utf8))
    var put: StoredFile?
    switch number % 5 {
    case 0: put = try store.put(.file(large), as: name)
    case 1:
      put = try store.put(.stream(try translating { () throws(SystemCallFailure) in try File.open(large) }), as: name)
    case 2: put = try store.put(.file(sources.appending(MemorySource.sparse.rawValue)), as: name)
    case 3:
      var findingCount = 0
      _ = try store.verify { event in if case .finding = event { findingCount += 1 } }
      if findingCount > 0 { throw StoreError(.corrupt, "\(findingCount) findings while others use the store") }
    default: break
    }
    if let file = try store.files(named: FileName(Array(MemorySource.large.rawValue.utf8))).last {
      let target = output.appending("\(number)")
      // What goes to a stream is held until those before it are written: who waits for memory then waits for himself.
      let isStream = number % 3 != 0
      let stream =
        isStream
        ? try translating { () throws(SystemCallFailure) in try File.open(target, [.write, .createNew]) } : nil
      for _ in 0..<2 {
        try store.get(file.id, to: stream.map { .stream($0) } ?? .file(target, replacing: true))
      }
    }
    if number % 2 == 0, let put { try store.delete(put.id) }
  }

  private static func translating<R>(_ body: () throws(SystemCallFailure) -> R) throws(StoreError) -> R {
    do throws(SystemCallFailure) { return try body() } catch { throw StoreError(.io, error.description) }
  }
}
