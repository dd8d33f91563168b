import CommandSupport
import Console
import SegmentStore

/// `pfs put --batch`: all or nothing.
extension PutCommand {
  /// Stores all files without anybody seeing them, then makes them visible in one moment; or takes all out again.
  func putBatch(_ options: PutOptions, _ context: CommandContext) throws(CommandError) {
    for path in paths {
      try checkOutsideStore(path, context)
      // Before a store is made for nothing.
      guard ConsolePath.kind(path) != nil else {
        throw batchFailed(
          CommandError(.failed, "\(DisplayName.escaped(path)): no such file, or it cannot be reached"))
      }
    }
    let store = try context.storeMakingOne()
    let group = store.beginGroup()
    do throws(CommandError) {
      for path in paths { try put(path, into: group, options, context) }
    } catch {
      group.rollBack()
      throw batchFailed(error)
    }
    let ids: [FileID]
    do throws(StoreError) { ids = try group.publish(cancellation: context.cancellation) } catch {
      // Whether it is stored, the next open shows.
      if [.durabilityUnknown, .indexDamaged].contains(error.code) { throw CommandError(error) }
      group.rollBack()
      throw batchFailed(CommandError(error))
    }
    // One by one: there may be many.
    for id in ids {
      let file = try translating { () throws(StoreError) in try store.file(id) }
      if let file { try report(file, context) }
    }
  }

  private func put(
    _ path: [UInt8], into group: PutGroup, _ options: PutOptions, _ context: CommandContext
  ) throws(CommandError) {
    let name = if let name { name } else { try PutCommand.name(of: path) }
    let kind = ConsolePath.kind(path)
    var totalByteCount: Int?
    if case .file(let byteCount) = kind { totalByteCount = byteCount }
    context.progress.begin(name.bytes, totalByteCount: totalByteCount)
    do throws(StoreError) {
      if kind == .directory, isRecursive {
        try group.putTree(
          FilePath(bytes: path), as: name, options, cancellation: context.cancellation, progress: context.progress.add)
      } else {
        try group.put(
          .file(FilePath(bytes: path)), as: name, options, cancellation: context.cancellation,
          progress: context.progress.add)
      }
    } catch {
      throw CommandError(error, subject: path)
    }
  }

  private func batchFailed(_ error: CommandError) -> CommandError {
    CommandError(
      error.status, error.message.map { "\($0); nothing of the batch was stored" }, advice: error.advice)
  }
}
