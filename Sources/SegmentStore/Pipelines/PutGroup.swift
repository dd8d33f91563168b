import LMDB
import Mutants
import StorageIO

/// Files that are stored one after another, or several at once, and become visible together or not at all.
///
/// Each is stored as any other, but enters the index as `writing`: durable and invisible. ``publish()`` makes all of them
/// visible in one commit of the index, with one commit record that names them all; so after a crash at any moment all
/// are there or none is. In memory there is only the id of each. One that is neither published nor rolled back when
/// the process ends is rolled back by the next open.
public final class PutGroup: Sendable {
  private struct State {
    var files: [FileID] = []
    /// Those that are being published together with those of another group.
    var publishing: Set<FileID> = []
    /// Those that are being stored, too.
    var begunCount = 0
  }

  /// What publishing takes for each file: pages of the index that its entry and its name are on, until they are durable.
  static let fileByteCount = 8 << 10
  /// The share of a segment that the commit record may take.
  private static let commitShare = 4

  let store: Store
  private let state = Monitor(State())

  init(_ store: Store) { self.store = store }

  /// The most files that can be published together.
  public var maximumFileCount: Int {
    min(
      store.budget.unreservedByteCount / PutGroup.fileByteCount,
      store.superblock.segmentByteCount / PutGroup.commitShare / 8)
  }

  /// Stores a file that becomes visible with the others.
  /// - Returns: Its id. On return it is durable, and no reader sees it.
  /// - Throws: As ``Store/put(_:as:_:cancellation:progress:)``; `.invalidArgument` when there are too many. The others
  ///   stay as they are: publish or roll back.
  @discardableResult public func put(
    _ source: PutSource, as name: FileName, _ options: PutOptions = PutOptions(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(StoreError) -> FileID {
    try PutPipeline(
      store: store, session: try store.writerSession(), name: name, options: options, group: self,
      cancellation: cancellation,
      progress: progress
    ).run(source).id
  }

  /// Stores many files, several at a time, that become visible with the others.
  /// - Throws: As the other, of the first file that cannot be stored. What was stored until then stays in the group: roll it
  ///   back.
  public func put(
    all files: [(source: PutSource, name: FileName)], _ options: PutOptions = PutOptions(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(StoreError) {
    let (store, session) = (store, try store.writerSession())
    do throws(StoreError) {
      _ = try ParallelFiles<(id: FileID, source: PutSource, name: FileName)>(cancellation: cancellation).run(
        produce: {
          (handOver: ((id: FileID, source: PutSource, name: FileName)) throws(StoreError) -> Void) throws(StoreError) in
          var ids = FileIDRange(session)
          for (source, name) in files { try handOver((try ids.next(), source, name)) }
          try ids.giveBack()
        },
        isFatal: { _ in true },
        work: { (file: (id: FileID, source: PutSource, name: FileName)) throws(StoreError) in
          let put = PutPipeline(
            store: store, session: session, name: file.name, options: options, group: self,
            cancellation: cancellation, progress: progress)
          _ = try put.run(file.source, as: file.id)
        },
        failed: { (_, _) in })
    } catch {
      try cancellation.check()
      throw error
    }
  }

  /// Makes all files visible at once. No put of the group may run; afterwards the group is empty.
  /// - Returns: Their ids, in order.
  /// - Throws: `.noSpace`, `.cancelled`, `.io`: none is visible, and the group is as it was. `.durabilityUnknown`: the
  ///   next open shows all or none.
  public func publish(cancellation: Cancellation = Cancellation()) throws(StoreError) -> [FileID] {
    let ids = try publish(state.withLock { $0.files }, cancellation)
    state.withLock { $0 = State() }
    return ids
  }

  /// As ``publish(cancellation:)``, together with some files of another group of the same store, whose other files stay as they
  /// are: all or none. Those that somebody else is publishing are waited for.
  /// - Parameter wanted: those of the other group, which stays as it was when this throws. One that was published before is
  ///   left out.
  package func publish(
    with other: PutGroup, _ wanted: Set<FileID>, cancellation: Cancellation
  ) throws(StoreError) -> [FileID] {
    let others = other.take(wanted)
    do throws(StoreError) {
      let ids = try publish(state.withLock { $0.files } + others, cancellation)
      state.withLock { $0 = State() }
      other.end(others, arePublished: true)
      return ids
    } catch {
      other.end(others, arePublished: false)
      throw error
    }
  }

  private func take(_ wanted: Set<FileID>) -> [FileID] {
    state.wait { state in
      guard state.publishing.isDisjoint(with: wanted) else { return nil }
      let taken = state.files.filter(wanted.contains)
      state.files.removeAll(where: wanted.contains)
      state.publishing.formUnion(taken)
      return taken
    }
  }

  private func end(_ taken: [FileID], arePublished: Bool) {
    state.withLock { state in
      state.publishing.subtract(taken)
      if arePublished { state.begunCount -= taken.count } else { state.files += taken }
    }
  }

  private func publish(_ files: [FileID], _ cancellation: Cancellation) throws(StoreError) -> [FileID] {
    let ids = files.sorted()
    try checkCount(ids.count)
    guard !ids.isEmpty else { return [] }
    try cancellation.check()
    let memory = try store.budget.lease(ids.count * PutGroup.fileByteCount, cancellation)
    defer { withExtendedLifetime(memory) {} }
    let session = try store.writerSession()
    let (index, quota, writer) = (try store.index, store.quota, session.writer)
    for group in Mutant.publishOneByOne.isActive ? ids.map({ [$0] }) : [ids] {
      try session.perform(
        IndexJob(publishing: group) { (transaction, journal) throws(StoreError) in
          for id in group {
            guard var entry = try index.files.file(id, in: transaction), entry.state == .writing,
              entry.writer == writer
            else { throw StoreError(.io, "file \(id) was taken away before it was published") }
            entry.state = .ready
            entry.commit = journal.commit
            try index.files.setReady(id, entry, in: transaction)
          }
          try quota.check(0, journal, index.segments, in: transaction)
        })
    }
    return ids
  }

  /// Takes one file out again, which gives its space back; nothing is done if the group does not have it, or no more.
  package func remove(_ id: FileID) {
    let isIncluded = state.withLock { state in
      guard let position = state.files.firstIndex(of: id) else { return false }
      state.files.remove(at: position)
      state.begunCount -= 1
      return true
    }
    if isIncluded { rollBack([id]) }
  }

  /// Hands the bytes `range` of a file of the group, or of one that was published, to `receive`, as
  /// ``GetTarget/receiver(_:)`` says.
  package func get(
    _ id: FileID, _ range: Range<Int>, _ receive: @escaping @Sendable (RawSpan) throws(StoreError) -> Void
  ) throws(StoreError) {
    var options = GetOptions()
    options.byteRange = range
    let index = try store.index
    let entry = try index.read { (transaction) throws(StoreError) in try index.files.file(id, in: transaction) }
    guard let entry, entry.state == .writing else {
      try store.get(id, to: .receiver(receive), options)
      return
    }
    let pipeline = GetPipeline(store: store, options: options, cancellation: Cancellation(), progress: { _ in })
    _ = try pipeline.run(id, entry, to: .receiver(receive))
  }

  /// Takes all files out again, which gives their space back. No put of the group may run; afterwards it is empty.
  ///
  /// Where that fails, whoever opens the store after this process has ended does it.
  public func rollBack() {
    let ids = state.withLock { state in
      defer { state = State() }
      return state.files
    }
    rollBack(ids)
  }

  private func rollBack(_ ids: [FileID]) {
    if ids.isEmpty { return }
    do throws(StoreError) {
      let session = try store.writerSession()
      let reclamation = Reclamation(store: store, perform: session.perform)
      try store.reserve.lend { () throws(StoreError) in
        try reclamation.rollBack(ids, of: session.writer, by: session.writer)
      }
    } catch {
      // What is still entered keeps the entry of this writer, and so is found.
    }
  }

  // MARK: For the pipeline

  /// Counts a put that begins; ``add(_:)`` or ``abandon()`` ends it.
  func begin() throws(StoreError) {
    let count = state.withLock { state in
      state.begunCount += 1
      return state.begunCount
    }
    do throws(StoreError) { try checkCount(count) } catch {
      abandon()
      throw error
    }
  }

  /// Throws when so many files cannot be published together.
  private func checkCount(_ count: Int) throws(StoreError) {
    let maximum = maximumFileCount
    if count <= maximum { return }
    if store.budget.unreservedByteCount / PutGroup.fileByteCount > maximum {
      throw StoreError(
        .invalidArgument, "more than \(maximum) files in one batch: its commit record must fit into a segment",
        advice: "store them in several batches")
    }
    throw StoreError(
      .memoryLimitTooSmall,
      "more than \(maximum) files in one batch: each takes \(describe(PutGroup.fileByteCount)) of the memory limit of "
        + describe(store.budget.limitByteCount),
      advice: "raise the limit with --memory, or store them in several batches")
  }

  func add(_ id: FileID) { state.withLock { $0.files.append(id) } }

  func abandon() { state.withLock { $0.begunCount -= 1 } }
}

extension Store {
  /// A group of files that become visible together.
  public func beginGroup() -> PutGroup { PutGroup(self) }
}
