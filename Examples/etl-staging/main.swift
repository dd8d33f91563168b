// ETL with a staging tree: ten workers write CSV files at the same time into memory, under a hard quota; the result is
// looked at, and then stored in one step. If the program fails or is killed before the end, the store has nothing of it.
//
//     swift run etl-staging /tmp/store
import Glibc
import SegmentStore
import StagingFS

let workerCount = 10
let rowCount = 2000

/// What one worker does: fetch, transform, write.
@Sendable func work(_ worker: Int, in staging: AsyncStagingFileSystem) async throws {
  let file = try await staging.open("/out/part-\(worker).csv", .createNew)
  try await file.write(Array("worker,row,square\n".utf8))
  for row in 0..<rowCount {
    try await file.write(Array("\(worker),\(row),\(row * row)\n".utf8))
  }
  // Nobody sees the rows before this.
  try await file.close()
}

/// The store, made when there is none.
func openStore(_ path: FilePath) throws(StoreError) -> Store {
  do throws(StoreError) { try Store.create(at: path) } catch  where error.code == .exists {}
  return try Store(at: path)
}

/// Stages everything, shows it, and stores it.
func run(_ path: String) async throws {
  let store = try openStore(FilePath(path))
  // The memory of the tree is taken from that of the store.
  let files = try StagingFileSystem(quota: 16 << 20, sharingMemoryOf: store, maximumNodeCount: 100)
  let staging = AsyncStagingFileSystem(files)

  try await staging.makeDirectory("/out")
  try await withThrowingTaskGroup(of: Void.self) { group in
    for worker in 0..<workerCount { group.addTask { try await work(worker, in: staging) } }
    try await group.waitForAll()
  }

  for path in try await staging.glob("/out/*.csv") {
    print("staged \(path): \(try await staging.byteCount(of: path)) bytes")
  }
  let first = StagingTextHandle(try files.open("/out/part-0.csv"))
  print("part 0 begins with \(try first.readLine() ?? "nothing")", terminator: "")
  try first.handle.close()
  let statistics = files.statistics()
  print("quota: \(statistics.usedByteCount) of \(statistics.quotaByteCount) bytes are used")

  let stored = try await staging.commit(into: store, under: "jobs/today", from: "/out")
  print("stored \(stored.count) files in one step")
  try store.close()
}

guard CommandLine.arguments.count == 2 else {
  print("usage: etl-staging STORE")
  exit(2)
}
do {
  try await run(CommandLine.arguments[1])
} catch {
  // An error that leaves the program by itself would be shown as a crash.
  print("etl-staging: \(error)")
  exit(1)
}
