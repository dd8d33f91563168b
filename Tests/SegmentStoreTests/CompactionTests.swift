import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Compaction") struct CompactionTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("by several threads moves every record once, and removes what it emptied", arguments: WriteMode.allCases)
  func threads(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 4)) {
      ($0.segmentByteCount, $0.partByteCount) = (1 << 20, 16 << 10)
    }
    // Too small for a punch, with a file between each two of them.
    let byteCounts = (0..<600).map { $0.isMultiple(of: 2) ? 3000 : 30_000 + 61 * $0 }
    var files: [StoredFile] = []
    for (number, byteCount) in byteCounts.enumerated() {
      files.append(try fixture.put(noise(byteCount, seed: UInt64(number)), as: "file \(number)"))
    }
    for number in stride(from: 0, to: files.count, by: 2) { try fixture.store.delete(files[number].id) }
    var options = CompactionOptions()
    options.targetRatio = 1
    var toldByteCount = 0
    let summary = try fixture.store.compact(options) { byteCount, _ in toldByteCount += byteCount }
    #expect(summary.removedSegmentCount > 4)
    #expect(summary.movedByteCount > 4 << 20 && summary.movedByteCount <= summary.liveByteCount)
    #expect(toldByteCount >= summary.movedByteCount)
    #expect(summary.diskByteCountAfter < summary.diskByteCountBefore)
    for number in stride(from: 1, to: files.count, by: 2) {
      #expect(try fixture.get(files[number].id) == noise(byteCounts[number], seed: UInt64(number)))
    }
    // What was moved is found without the index too.
    try fixture.store.checkInvariants()
    try fixture.store.close()
    _ = try Store.rebuild(at: fixture.path)
    try fixture.open()
    for number in stride(from: 1, to: files.count, by: 2) {
      #expect(try fixture.get(files[number].id) == noise(byteCounts[number], seed: UInt64(number)))
    }
    try fixture.finish()
  }

  @Test("tells changes of the index by others from its own")
  func others() throws {
    let fixture = try StoreFixture(directory)
    let session = try fixture.store.writerSession()
    let jobs = CompactionJobs(session)
    func change() throws { try jobs.perform(IndexJob { (_, _) throws(StoreError) in }) }
    try change()
    let first = jobs.mark
    for _ in 0..<3 { try change() }
    #expect(jobs.mark.othersCount(since: first) == 0)
    _ = try fixture.put([1, 2, 3], as: "by this process")
    try change()
    #expect(jobs.mark.othersCount(since: first) > 0)
    let second = jobs.mark
    var put = Command(
      Sandbox.executable, ["--store", fixture.path.description, "put", "-", "--name", "by another"], environment: [:],
      workingDirectory: BytePath(directory.path))
    put.input = .bytes(Data([4, 5]))
    #expect(try put.run().exitStatus == 0)
    try change()
    #expect(jobs.mark.othersCount(since: second) > 0)
    try fixture.finish()
  }
}

@Suite("Worker pool") struct WorkerPoolTests {
  private struct Counts {
    var running = 0
    var most = 0
    var done = 0
  }

  @Test("runs no more jobs at once than it has workers, wherever they run, and forgets none")
  func bound() throws {
    let pool = WorkerPool(workerCount: 2)
    let counts = Monitor(Counts())
    let (threadCount, jobCount) = (6, 500)
    let job: WorkerPool.Job = { _ in
      counts.withLock { counts in
        counts.running += 1
        counts.most = max(counts.most, counts.running)
      }
      counts.withLock { counts in
        counts.running -= 1
        counts.done += 1
      }
    }
    try Watchdog.run(threads: threadCount, "jobs") { thread in
      for number in 0..<jobCount {
        if thread.isMultiple(of: 2) || !pool.runHere(job) {
          do { try pool.submit(job) } catch { Issue.record("job \(number): \(error)") }
        }
      }
    }
    pool.close()
    let found = counts.withLock { $0 }
    #expect(found.done == threadCount * jobCount)
    #expect(found.most <= 2)
    #expect(!pool.runHere(job), "a closed pool did a job")
  }
}
