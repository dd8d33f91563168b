import Console
import SegmentStore
import StorageIO

/// A promise that a store does not keep.
struct StoreFault: Hashable, Sendable, CustomStringConvertible {
  let kind: Violation.Kind
  let message: String

  init(_ kind: Violation.Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  var description: String { "\(kind.rawValue): \(message)" }
}

/// Opens a store that a crash may have left and checks that it is what it must be: opens by itself, has what was
/// acknowledged and nothing else, is at rest after that, and works on. Changes the store.
///
/// One thread at a time uses it; the store is opened in this process, which may die of it.
final class StoreCheck {
  enum Depth: String, Sendable, CaseIterable {
    /// Opens twice and reads everything; changes nothing but what an open puts right. Half the work of the next.
    case quick
    /// Stores and deletes besides.
    case standard
    /// Compacts and makes the index anew besides, and expects the same of both.
    case full
    /// Opens twice, reads everything, deletes all files but one and makes the index anew: none comes back.
    case worn
  }

  /// An open that takes longer hangs, as far as anybody can tell.
  static let openLimitSeconds = 2.0
  /// The name under which something is stored to see whether that works; no workload uses it.
  static let probeName = "after"

  private let scratch: FilePath
  private var contents: [StoredContent: [UInt8]] = [:]
  private var faults: [StoreFault] = []

  /// - Parameter scratch: A directory for what is read back, best in memory; nothing stays in it.
  init(scratch: FilePath) { self.scratch = scratch }

  /// - Parameter kept: Which of the files is not deleted where all others are, from 0 on; over and over.
  /// - Returns: What is not as it must be; nothing when all is well.
  func run(
    _ path: FilePath, _ expectation: Expectation, depth: Depth = .standard, keeping kept: Int = 0
  ) -> [StoreFault] {
    faults = []
    do throws(StoreError) {
      if try isMissing(path) {
        if expectation.hasStore { return [StoreFault(.lost, "the store is gone")] }
        // What is left beside it must not be in the way.
        try Store.create(at: path, WorkloadActor.creationOptions)
      }
      try check(path, expectation, depth, kept)
    } catch {
      // Each step says what it expects to succeed; this is what was not expected to fail at all.
      faults.append(StoreFault(.outcome, "\(error.code): \(error)"))
    }
    return faults
  }

  private func isMissing(_ path: FilePath) throws(StoreError) -> Bool {
    do throws(SystemCallFailure) {
      _ = try FileSystem.status(of: path)
      return false
    } catch  where error.isNotFound {
      return true
    } catch {
      throw StoreError(.io, "\(error)")
    }
  }

  private func check(
    _ path: FilePath, _ expectation: Expectation, _ depth: Depth, _ kept: Int
  ) throws(StoreError) {
    guard let store = try open(path, "the first open") else { return }
    let dump = try StoreDump(store)
    compare(dump, expectation)
    read(dump, of: store, expectation)
    verify(store, "after the first open")
    leftovers(in: path, try store.statistics())
    try store.close()
    if !faults.isEmpty { return }

    let before = try StoreFingerprint(path)
    guard let store = try open(path, "the second open") else { return }
    let change = try StoreFingerprint(path).difference(from: before)
    if let change { faults.append(StoreFault(.inconsistent, "the second open changed \(change)")) }
    var after: StoreDump
    switch depth {
    case .quick: after = dump
    case .standard: after = try workOn(store, dump, expectation)
    case .full: after = try compact(store, try workOn(store, dump, expectation), expectation)
    case .worn: after = try wear(store, dump, keeping: kept)
    }
    try store.close()
    if (depth == .full || depth == .worn) && faults.isEmpty { try rebuild(path, after, expectation) }
  }

  private func open(_ path: FilePath, _ step: String) throws(StoreError) -> Store? {
    let start = MonotonicClock.seconds()
    do throws(StoreError) {
      let store = try Store(at: path, WorkloadActor.configuration)
      let seconds = MonotonicClock.seconds() - start
      if seconds > StoreCheck.openLimitSeconds {
        faults.append(StoreFault(.hang, "\(step) took \(FixedPoint.text(seconds, decimals: 1)) s"))
      }
      return store
    } catch {
      faults.append(StoreFault(.unopenable, "\(step): \(error.code): \(error)"))
      return nil
    }
  }

  // MARK: What is there

  private func compare(_ dump: StoreDump, _ expectation: Expectation) {
    for file in dump.unfinished where !(file.isInterrupted && expectation.mayBeInterrupted(file.name.description)) {
      faults.append(
        StoreFault(.inconsistent, "file \(file.id) '\(file.name)' is \(file.status.rawValue) after the open"))
    }
    let found = Set(dump.entries.map(\.file.id.rawValue))
    for expected in expectation.files where !found.contains(expected.id) && expected != expectation.vanishing {
      faults.append(StoreFault(.lost, "file \(expected.id) '\(expected.name)' was stored, and is gone"))
    }
    let known = Set(expectation.files.map(\.id))
    let extra = dump.entries.map(\.file).filter { !known.contains($0.id.rawValue) }
    for file in extra where expectation.deletedIDs.contains(file.id.rawValue) {
      faults.append(StoreFault(.lost, "file \(file.id) '\(file.name)' was deleted, and is back"))
    }
    compareAppearing(extra, expectation)
  }

  /// What was being stored is there as a whole or not at all.
  private func compareAppearing(_ extra: [StoredFile], _ expectation: Expectation) {
    if extra.isEmpty { return }
    let appearing = expectation.appearing
    guard extra.map(\.name.description) == appearing.map(\.name) else {
      let found = extra.map { "\($0.id) '\($0.name)'" }.joined(separator: ", ")
      let doing = expectation.operation?.text ?? "nothing"
      return faults.append(StoreFault(.inconsistent, "files that nobody stored: \(found); in flight: \(doing)"))
    }
    for file in extra where file.id.rawValue <= expectation.highestFileID && !expectation.isResuming {
      faults.append(StoreFault(.inconsistent, "file \(file.id) is not newer than \(expectation.highestFileID)"))
    }
  }

  private func read(_ dump: StoreDump, of store: Store, _ expectation: Expectation) {
    let appearing = Dictionary(uniqueKeysWithValues: expectation.appearing.map { ($0.name, $0.content) })
    for file in dump.entries.map(\.file) {
      let known = expectation.files.first { $0.id == file.id.rawValue }
      if let known, known.name != file.name.description {
        faults.append(StoreFault(.wrongBytes, "file \(file.id) is called '\(file.name)', not '\(known.name)'"))
      }
      guard let content = known?.content ?? appearing[file.name.description] else { continue }
      compare(file, of: store, with: content)
    }
  }

  private func compare(_ file: StoredFile, of store: Store, with content: StoredContent) {
    do throws(StoreError) {
      let bytes = try StoreReading.bytes(of: file, in: store, scratch: scratch)
      let expected = self.bytes(of: content)
      if bytes == expected && file.byteCount == bytes.count { return }
      let place = zip(bytes, expected).enumerated().first { $1.0 != $1.1 }?.offset ?? min(bytes.count, expected.count)
      faults.append(
        StoreFault(
          .wrongBytes,
          "file \(file.id) '\(file.name)': \(bytes.count) bytes, \(expected.count) were stored; differs from \(place)"))
    } catch {
      faults.append(StoreFault(.lost, "file \(file.id) '\(file.name)': \(error.code): \(error)"))
    }
  }

  private func bytes(of content: StoredContent) -> [UInt8] {
    if let bytes = contents[content] { return bytes }
    if contents.count > 256 { contents.removeAll() }
    let bytes = content.bytes()
    contents[content] = bytes
    return bytes
  }

  private func verify(_ store: Store, _ moment: String) {
    do throws(StoreError) {
      _ = try store.verify { event in
        switch event {
        case .finding(let finding):
          self.faults.append(StoreFault(.inconsistent, "verify \(moment): \(StoreCheck.text(finding))"))
        case .note(let note): self.faults.append(StoreFault(.inconsistent, "verify \(moment) notes: \(note)"))
        case .progress, .reached: break
        }
      }
    } catch {
      faults.append(StoreFault(.inconsistent, "verify \(moment): \(error.code): \(error)"))
    }
  }

  static func text(_ finding: Finding) -> String {
    let places = [
      finding.file.map { "file \($0)" }, finding.part.map { "part \($0)" }, finding.segment.map { "segment \($0)" },
      finding.offset.map { "offset \($0)" },
    ]
    return "\(finding.kind) \(places.compactMap { $0 }.joined(separator: " ")): \(finding.message)"
  }

  private func leftovers(in path: FilePath, _ statistics: StoreStatistics) {
    do throws(SystemCallFailure) {
      for (directory, expected) in StoreCheck.names {
        let names = try Directory.open(directory.isEmpty ? path : path.appending(directory)).entries()
        for name in names.map({ String(decoding: $0, as: UTF8.self) }) where !expected.contains(name) {
          faults.append(StoreFault(.inconsistent, "'\(directory)/\(name)' is left over"))
        }
      }
      let segments = try Directory.open(path.appending("segments")).entries()
      if segments.count != statistics.segmentCount {
        faults.append(
          StoreFault(.inconsistent, "\(segments.count) segment files, and the index has \(statistics.segmentCount)"))
      }
    } catch {
      faults.append(StoreFault(.inconsistent, "\(error)"))
    }
  }

  private static let names: [(directory: String, names: Set<String>)] = [
    ("", ["STORE", "index", "segments", "locks", "high-water", "reserve"]), ("index", ["data.mdb", "lock.mdb"]),
  ]

  // MARK: What works on

  /// Stores, reads and deletes; nothing else changes by that.
  /// - Returns: What is there then.
  private func workOn(
    _ store: Store, _ dump: StoreDump, _ expectation: Expectation
  ) throws(StoreError) -> StoreDump {
    let content = StoredContent(seed: expectation.workload.seed, number: -1, size: .small)
    let source = try sourceFile(of: content)
    let name = try FileName(Array(StoreCheck.probeName.utf8))
    let file = try store.put(.stream(source), as: name)
    let highest = max(dump.highestFileID, expectation.highestFileID, expectation.deletedIDs.max() ?? 0)
    if file.id.rawValue <= highest {
      faults.append(StoreFault(.inconsistent, "file id \(file.id) was given out, and \(highest) was before"))
    }
    compare(file, of: store, with: content)
    let highestPart = max(dump.highestPartID, expectation.highestPartID)
    for part in try store.parts(of: file.id, 0..<1) where part.id.rawValue <= highestPart {
      faults.append(StoreFault(.inconsistent, "part id \(part.id) was given out, and \(highestPart) was before"))
    }
    // The oldest there is: what a crash left is in its segments.
    let victim = dump.entries.first?.file.id ?? file.id
    try store.delete(victim)
    let after = try StoreDump(store)
    let expected = Set(dump.entries.map(\.file.id) + [file.id]).subtracting([victim])
    if Set(after.entries.map(\.file.id)) != expected || !after.isConsistent(with: dump) {
      faults.append(StoreFault(.inconsistent, "a put and a delete of file \(victim) changed other files"))
    }
    verify(store, "after a put and a delete")
    return after
  }

  /// Deletes all files but one. What a crash in a compaction left of them may lie in a segment that is still there, while
  /// that in which they were last is gone.
  private func wear(_ store: Store, _ dump: StoreDump, keeping kept: Int) throws(StoreError) -> StoreDump {
    for (number, entry) in dump.entries.enumerated() where number != kept % dump.entries.count {
      try store.delete(entry.file.id)
    }
    verify(store, "after all files but one were deleted")
    return try StoreDump(store)
  }

  /// Moves what can be moved, and nothing else changes by that.
  private func compact(
    _ store: Store, _ dump: StoreDump, _ expectation: Expectation
  ) throws(StoreError) -> StoreDump {
    var options = CompactionOptions()
    options.targetRatio = 1
    let summary = try store.compact(options)
    if let segment = summary.damagedSegments.first {
      faults.append(StoreFault(.inconsistent, "a compaction finds damaged records in segment \(segment)"))
    }
    let after = try StoreDump(store)
    if after.entries.map(\.file) != dump.entries.map(\.file) {
      faults.append(StoreFault(.lost, "a compaction changed files"))
    }
    read(after, of: store, expectation)
    verify(store, "after a compaction")
    return after
  }

  private func sourceFile(of content: StoredContent) throws(StoreError) -> File {
    do throws(SystemCallFailure) {
      let file = try File.open(scratch, [.write, .unnamed])
      try file.write(bytes(of: content), at: 0)
      return file
    } catch {
      throw StoreError(.unusableFile, "\(error)")
    }
  }

  /// Makes the index anew and expects the same of it.
  private func rebuild(_ path: FilePath, _ before: StoreDump, _ expectation: Expectation) throws(StoreError) {
    _ = try Store.rebuild(at: path, WorkloadActor.configuration) { finding in
      if finding.kind == .uncommittedFile { return }
      self.faults.append(StoreFault(.inconsistent, "rebuild: \(StoreCheck.text(finding))"))
    }
    guard let store = try open(path, "the open after the rebuild") else { return }
    let after = try StoreDump(store)
    if after.entries != before.entries {
      let was = before.entries.map { "\($0.file.id)" }.joined(separator: " ")
      let found = after.entries.map { "\($0.file.id)" }.joined(separator: " ")
      faults.append(
        StoreFault(.lost, "the index that was made anew says otherwise: files \(was) were there, \(found) are"))
    }
    read(after, of: store, expectation)
    verify(store, "after the rebuild")
    try store.close()
  }
}
