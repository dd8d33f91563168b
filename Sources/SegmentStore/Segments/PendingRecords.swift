/// Records that were appended to a lent segment and are in the index or gone: until one of both is certain, nobody else
/// appends behind them. After a crash they lie behind the end that the index knows, and are cut off.
///
/// Belongs to the thread that the segment was lent to. Exactly one of ``keep()`` and ``takeBack()`` must be called, unless
/// what the index says is not known: then the segment stays lent, and the next open finds out.
struct PendingRecords {
  let appender: SegmentAppender
  private let pool: SegmentPool
  private let markBefore: SegmentAppender.Mark

  init(in appender: SegmentAppender, of pool: SegmentPool) {
    self.appender = appender
    self.pool = pool
    markBefore = appender.mark
  }

  var byteCount: Int { appender.tail - markBefore.tail }

  /// The index has named the records.
  func keep() { pool.giveBack(appender) }

  /// The index has not named the records and never will.
  /// - Throws: What leaves it open whether they are gone: then the segment stays lent, and the caller must see to it that this
  ///   process writes no more.
  func takeBack() throws(StoreError) {
    try appender.rewind(to: markBefore)
    // They may be on the device; with the index lost, they would be believed.
    try pool.sync([appender.segment])
    pool.giveBack(appender)
  }
}
