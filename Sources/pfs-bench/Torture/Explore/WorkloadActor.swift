import SegmentStore
import StorageIO
import Synchronization

/// Does the operations of a workload on a store.
final class WorkloadActor {
  /// Why an operation did not come to its end.
  enum Failure: Error {
    case store(StoreError)
    /// It ended, and what came out is wrong.
    case broken(String)
    /// The work around it failed.
    case stopped(BenchFailure)
  }

  /// The smallest that the format allows: crash states are small, and files need several segments.
  static let creationOptions: Store.CreationOptions = {
    var options = Store.CreationOptions()
    options.segmentByteCount = 64 << 10
    options.partByteCount = 4 << 10
    return options
  }()

  static let configuration: Store.Configuration = {
    var configuration = Store.Configuration()
    configuration.memoryByteCount = 8 << 20
    // One worker: the same calls in the same order each time, as far as threads allow.
    configuration.workerCount = 1
    configuration.lockTimeoutSeconds = 5
    return configuration
  }()

  private let path: FilePath
  private let sourcePath: FilePath
  private let workload: Workload
  private var openStore: Store?

  init(path: FilePath, sourcePath: FilePath, workload: Workload) {
    self.path = path
    self.sourcePath = sourcePath
    self.workload = workload
  }

  func open() throws(StoreError) { openStore = try Store(at: path, WorkloadActor.configuration) }

  func close() throws(StoreError) {
    try openStore?.close()
    openStore = nil
  }

  /// - Returns: What the mark says behind the number.
  func perform(_ number: Int, _ expectation: Expectation) throws(Failure) -> String {
    switch workload.operations[number] {
    case .initialize:
      try engine { () throws(StoreError) in
        try Store.create(at: path, WorkloadActor.creationOptions)
        try open()
      }
    case .put, .resume, .cancelled, .interrupted, .failing, .batch: return try store(number)
    case .get(let name): try get(name, expectation)
    case .delete(let name):
      let id = try newest(name).id
      try engine { () throws(StoreError) in try opened.delete(id) }
      return " \(id)"
    case .verify: try verify()
    case .compact: return try compact()
    case .reopen:
      try engine { () throws(StoreError) in
        try close()
        try open()
      }
    case .rebuild:
      var findings: [String] = []
      try engine { () throws(StoreError) in
        try close()
        _ = try Store.rebuild(at: path, WorkloadActor.configuration) { finding in
          if finding.kind != .uncommittedFile { findings.append(finding.message) }
        }
        try open()
      }
      if let finding = findings.first { throw .broken("\(findings.count) findings: \(finding)") }
    }
    return ""
  }

  // MARK: Storing

  private func store(_ number: Int) throws(Failure) -> String {
    let contents = workload.contents(of: number)
    if workload.operations[number] == .batch {
      let group = try engine { () throws(StoreError) in try opened.beginGroup() }
      for (name, content) in contents {
        try write(content)
        try engine { () throws(StoreError) in try group.put(.file(sourcePath), as: try fileName(name)) }
      }
      return try told(try engine { () throws(StoreError) in try group.publish() })
    }
    guard let (name, content) = contents.first else { return "" }
    try write(content)
    let (source, options, limit) = try how(number, content)
    let cancellation = Cancellation()
    let stored = Atomic(0)
    let file = try engine { () throws(StoreError) in
      try opened.put(source, as: try fileName(name), options, cancellation: cancellation) { byteCount in
        if stored.add(byteCount, ordering: .relaxed).newValue >= limit { cancellation.cancel() }
      }
    }
    return try told([file.id])
  }

  /// The source, the options, and the bytes after which the put is cancelled.
  private func how(
    _ number: Int, _ content: StoredContent
  ) throws(Failure) -> (PutSource, PutOptions, limitByteCount: Int) {
    var options = PutOptions()
    switch workload.operations[number] {
    case .cancelled: return (.file(sourcePath), options, content.byteCount / 2)
    case .interrupted:
      options.resumes = true
      return (.file(sourcePath), options, content.byteCount / 2)
    case .resume:
      options.resumes = true
      return (.file(sourcePath), options, .max)
    case .failing:
      let stream = try system { () throws(SystemCallFailure) in try File.open(sourcePath) }
      let source = PutSource.confirmedStream(stream) { () throws(StoreError) in
        throw StoreError(.unusableFile, "the source is no good")
      }
      return (source, options, .max)
    default: return (.file(sourcePath), options, .max)
    }
  }

  /// The ids of stored files, and the highest id of their parts.
  private func told(_ ids: [FileID]) throws(Failure) -> String {
    var highest: UInt64 = 0
    for id in ids {
      let parts = try engine { () throws(StoreError) in try opened.parts(of: id, 0..<Int(UInt32.max)) }
      highest = max(highest, parts.map(\.id.rawValue).max() ?? 0)
    }
    return ids.map { " \($0)" }.joined() + " part=\(highest)"
  }

  private func write(_ content: StoredContent) throws(Failure) {
    try system { () throws(SystemCallFailure) in
      let file = try File.open(sourcePath, [.write, .create])
      try file.truncate(to: 0)
      let bytes = content.bytes()
      for range in content.dataRanges { try file.write(Array(bytes[range]), at: range.lowerBound) }
      try file.truncate(to: bytes.count)
      // Stored with the file: the same each time.
      try file.setModified(nanoseconds: 1_600_000_000_000_000_000)
    }
  }

  // MARK: Looking

  private func get(_ name: String, _ expectation: Expectation) throws(Failure) {
    let file = try newest(name)
    let bytes = try engine { () throws(StoreError) in
      try StoreReading.bytes(of: file, in: try opened, scratch: sourcePath.parent)
    }
    guard let expected = expectation.newest(name) else { return }
    guard file.id.rawValue == expected.id, bytes == expected.content.bytes() else {
      throw .broken("file \(file.id) came back with other bytes than file \(expected.id) was stored with")
    }
  }

  private func verify() throws(Failure) {
    var findings: [String] = []
    try engine { () throws(StoreError) in
      _ = try opened.verify { event in
        if case .finding(let finding) = event { findings.append("\(finding.kind): \(finding.message)") }
      }
    }
    if let finding = findings.first { throw .broken("\(findings.count) findings: \(finding)") }
  }

  /// - Returns: How much was moved, since a compaction that moves nothing shows nothing.
  private func compact() throws(Failure) -> String {
    var options = CompactionOptions()
    options.targetRatio = 1
    let summary = try engine { () throws(StoreError) in try opened.compact(options) }
    if let segment = summary.damagedSegments.first { throw .broken("segment \(segment) has damaged records") }
    return " moved=\(summary.movedByteCount)"
  }

  private func newest(_ name: String) throws(Failure) -> StoredFile {
    try engine { () throws(StoreError) in
      guard let file = try opened.files(named: try fileName(name)).last else {
        throw StoreError(.notFound, "no file '\(name)'")
      }
      return file
    }
  }

  private var opened: Store {
    get throws(StoreError) {
      guard let openStore else { throw StoreError(.noStore, "the workload has not made a store yet") }
      return openStore
    }
  }

  private func fileName(_ name: String) throws(StoreError) -> FileName { try FileName(Array(name.utf8)) }

  @discardableResult
  private func engine<R>(_ body: () throws(StoreError) -> R) throws(Failure) -> R {
    do throws(StoreError) { return try body() } catch { throw .store(error) }
  }

  private func system<R>(_ body: () throws(SystemCallFailure) -> R) throws(Failure) -> R {
    do throws(SystemCallFailure) { return try body() } catch { throw .stopped(BenchFailure(.failed, "\(error)")) }
  }
}
