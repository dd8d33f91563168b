import LMDB
import StorageIO

/// Looking at what is stored. Each call sees one moment; pages of a longer listing may see different ones.
extension Store {
  /// The file with this id, ready or not; nil when there is none.
  public func file(_ id: FileID) throws(StoreError) -> StoredFile? {
    let index = try index
    return try index.read { (transaction) throws(StoreError) in
      guard let entry = try index.files.file(id, in: transaction) else {
        try index.checkSums(of: Index.tablesOfFiles, in: transaction)
        return nil
      }
      try index.files.checkName(id, entry, in: transaction)
      return StoredFile(id, entry)
    }
  }

  /// The ready files with this name, oldest first.
  /// - Complexity: O(names) once after each change by another process.
  public func files(named name: FileName) throws(StoreError) -> [StoredFile] {
    let index = try index
    return try index.read { (transaction) throws(StoreError) in
      // An older page of names would have an older version pass for the newest.
      try index.checkSums(of: ["names"], in: transaction)
      let found = try index.files.files(named: name, in: transaction).map { StoredFile($0.id, $0.entry) }
      if found.isEmpty { try index.checkSums(of: Index.tablesOfFiles, in: transaction) }
      return found
    }
  }

  /// Up to `limit` files in order of ids, ready or not, from the first id that is not below `id`.
  ///
  /// The first page first adds up what the index says of files: an older page of it would hide some.
  /// - Complexity: O(limit), and O(files) once after each change.
  public func files(from id: FileID = FileID(rawValue: 0), limit: Int) throws(StoreError) -> [StoredFile] {
    precondition(limit > 0, "a page of \(limit) files")
    let index = try index
    var page: [StoredFile] = []
    try index.read { (transaction) throws(StoreError) in
      if id.rawValue <= 1 { try index.checkSums(of: Index.tablesOfFiles, in: transaction) }
      try index.files.forEach(from: id, in: transaction) { (id, entry) in
        page.append(StoredFile(id, entry))
        return page.count < limit
      }
    }
    return page
  }

  /// Up to `limit` ready files whose names begin with `prefix`, the newest of each name, in order of names, from the
  /// first name above `start`. The first page adds up, as ``files(from:limit:)``.
  public func newestFiles(
    namePrefix prefix: [UInt8], after start: FileName? = nil, limit: Int
  ) throws(StoreError) -> [StoredFile] {
    precondition(limit > 0, "a page of \(limit) files")
    let index = try index
    var page: [StoredFile] = []
    try index.read { (transaction) throws(StoreError) in
      if start == nil { try index.checkSums(of: Index.tablesOfFiles, in: transaction) }
      try index.files.forEachNewest(namePrefix: prefix, after: start, in: transaction) { (id, entry) in
        page.append(StoredFile(id, entry))
        return page.count < limit
      }
    }
    return page
  }

  /// The parts `numbers` of a file that is ready, clamped to those it has.
  /// - Throws: `.notFound` when the file is not there or not ready.
  public func parts(of id: FileID, _ numbers: Range<Int>) throws(StoreError) -> [StoredPartInformation] {
    let index = try index
    return try index.read { (transaction) throws(StoreError) in
      guard let entry = try index.files.file(id, in: transaction), entry.state == .ready else {
        throw StoreError(.notFound, "no ready file with id \(id)")
      }
      let numbers = numbers.clamped(to: 0..<entry.manifest.partCount)
      let parts = try index.parts.parts(numbers, of: entry.manifest, in: transaction)
      return zip(numbers, parts).map { (number, part) in
        StoredPartInformation(
          id: part.id, offsetInFile: entry.manifest.byteRange(ofPart: number).lowerBound,
          rawByteCount: part.entry.rawByteCount, storedByteCount: part.entry.storedByteCount,
          codec: part.entry.codec.description, segment: part.entry.segment, offsetInSegment: part.entry.offset,
          md5: part.entry.digest.description)
      }
    }
  }

  /// Sizes and counts.
  /// - Complexity: O(files + segments + what was punched out of them).
  public func statistics() throws(StoreError) -> StoreStatistics {
    var result = StoreStatistics()
    let index = try index
    try index.read { (transaction) throws(StoreError) in
      try index.checkSums(of: Index.tablesOfFiles, in: transaction)
      try index.files.forEach(from: FileID(rawValue: 0), in: transaction) { (_, entry) in
        if entry.state == .ready {
          result.fileCount += 1
          result.byteCount += entry.manifest.byteCount
          result.storedByteCount += entry.manifest.storedByteCount
        } else {
          result.unfinishedFileCount += 1
        }
        return true
      }
      result.partCount = try index.parts.count(in: transaction)
    }
    for segment in try segmentSpaces() {
      result.segmentCount += 1
      if segment.isSealed { result.sealedSegmentCount += 1 }
      result.liveByteCount += segment.liveByteCount
      result.deadByteCount += segment.deadByteCount
      result.punchedByteCount += segment.punchedByteCount
      result.freeByteCount += segment.freeByteCount
      result.overheadByteCount += segment.overheadByteCount
      result.segmentDiskByteCount += segment.diskByteCount
    }
    result.indexFreeByteCount = try index.space().freeByteCount
    try translating { () throws(SystemCallFailure) in
      let indexFile = path.appending(Index.directoryName).appending("data.mdb")
      result.indexDiskByteCount = try FileSystem.status(of: indexFile).allocatedByteCount
      result.storeDiskByteCount = try Directory.open(path).diskByteCount()
    }
    result.segmentByteCount = superblock.segmentByteCount
    result.partByteCount = superblock.partByteCount
    result.quotaByteCount = superblock.quotaByteCount
    result.memoryLimitByteCount = budget.limitByteCount
    result.workerCount = workers.workerCount
    result.uuid = superblock.uuid.description
    return result
  }
}
